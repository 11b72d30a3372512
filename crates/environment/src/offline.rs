//! Variables that tell package managers that there is no network, so that they fail at once or
//! use what is there, instead of asking again for a minute.

/// For sandboxes whose network is closed; a recipe may say otherwise. Seen without them: `npm
/// install` and `npx` 71 s, `cargo build` 12 s and `pip` 8 s until they gave up.
pub const OFFLINE_VARIABLES: &[(&str, &str)] = &[
    // It also makes the resolver choose among the versions that are there.
    ("CARGO_NET_OFFLINE", "true"),
    // One that `rust-toolchain.toml` names and that is absent is an error at once.
    ("RUSTUP_AUTO_INSTALL", "0"),
    ("PIP_RETRIES", "0"),
    ("PIP_DISABLE_PIP_VERSION_CHECK", "1"),
    ("PIP_NO_INPUT", "1"),
    ("UV_OFFLINE", "1"),
    ("UV_PYTHON_DOWNLOADS", "never"),
    // Not `offline`: its error speaks of a cache mode, this one of the network.
    ("npm_config_fetch_retries", "0"),
    ("npm_config_prefer_offline", "true"),
    ("npm_config_update_notifier", "false"),
    ("npm_config_audit", "false"),
    ("npm_config_fund", "false"),
    ("npm_config_yes", "false"),
    ("YARN_ENABLE_NETWORK", "0"),
    ("COREPACK_ENABLE_NETWORK", "0"),
    ("GOPROXY", "off"),
    ("GOTOOLCHAIN", "local"),
    ("COMPOSER_DISABLE_NETWORK", "1"),
    ("HF_HUB_OFFLINE", "1"),
    ("DO_NOT_TRACK", "1"),
];
