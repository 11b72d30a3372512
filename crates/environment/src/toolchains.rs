//! What of a person's home directory builds and tests need: toolchains and package caches, never
//! the files beside them that hold credentials.
//!
//! Each entry is the narrowest directory that works, by the tool's documented layout; so
//! `.cargo/credentials.toml`, `.npmrc`, `.netrc`, `.m2/settings.xml` and the like stay outside.

/// How an entry is shown inside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Read-only.
    Read,
    /// Writable over a layer: the tool unpacks into it while it works. What it writes stays in
    /// the sandbox.
    Scratch,
}

/// One directory or file below the home directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Toolchain {
    /// Relative to the home directory.
    pub path: &'static str,
    /// How it is shown.
    pub access: Access,
}

const fn read(path: &'static str) -> Toolchain {
    Toolchain { path, access: Access::Read }
}

const fn scratch(path: &'static str) -> Toolchain {
    Toolchain { path, access: Access::Scratch }
}

/// The list. Entries that a person does not have are left out silently.
pub const TOOLCHAINS: &[Toolchain] = &[
    // Rust. Cargo unpacks sources and locks the package cache below `registry` and `git`.
    read(".cargo/bin"),
    read(".cargo/env"),
    scratch(".cargo/registry"),
    scratch(".cargo/git"),
    read(".rustup/toolchains"),
    read(".rustup/settings.toml"),
    // Rustup ends where it is missing and cannot be made, as beside a toolchain that a variable
    // has moved.
    read(".rustup/update-hashes"),
    // Python.
    read(".pyenv"),
    // `pip` writes the first after each install, and into the others where there is no venv.
    scratch(".pyenv/shims"),
    scratch(".local/bin"),
    scratch(".local/lib"),
    // It locks what it looks at.
    scratch(".local/share/uv"),
    read(".local/share/pipx"),
    scratch(".cache/uv"),
    read(".cache/pypoetry/virtualenvs"),
    // Poetry itself, as its own installer lays it out.
    read(".local/share/pypoetry/venv"),
    read(".local/share/virtualenvs"),
    read("miniconda3"),
    read("anaconda3"),
    read("miniforge3"),
    read("mambaforge"),
    read(".conda/envs"),
    // The tools of commit hooks; it locks its database.
    scratch(".cache/pre-commit"),
    // Node.
    read(".nvm/versions"),
    read(".nvm/alias"),
    read(".nvm/nvm.sh"),
    read(".volta/bin"),
    read(".volta/tools"),
    read(".fnm"),
    read(".local/share/fnm"),
    // Its store is there too.
    scratch(".local/share/pnpm"),
    read(".cache/node/corepack"),
    // Packages that were once fetched: `npm ci` and `npx` find them there.
    scratch(".npm/_cacache"),
    scratch(".npm/_npx"),
    scratch(".yarn/berry/cache"),
    read(".cache/ms-playwright"),
    read(".cache/puppeteer"),
    read(".cache/Cypress"),
    read(".bun/bin"),
    read(".deno/bin"),
    // Go. The module cache is locked while it is read.
    read("go/bin"),
    scratch("go/pkg/mod"),
    scratch(".cache/go-build"),
    read(".local/go"),
    // The JVM.
    read(".sdkman/candidates"),
    scratch(".m2/repository"),
    scratch(".gradle/caches"),
    scratch(".ivy2/cache"),
    scratch(".cache/coursier"),
    read(".gradle/wrapper"),
    read(".jenv"),
    // Ruby, and managers of many languages.
    read(".rbenv"),
    read(".rvm/rubies"),
    read(".rvm/gems"),
    read(".gem/ruby"),
    read(".local/share/gem/ruby"),
    read(".asdf"),
    read(".local/share/mise"),
    read(".dotnet"),
    scratch(".nuget/packages"),
    read(".mix/archives"),
    read(".mix/elixir"),
    read(".nix-profile"),
    read(".ghcup/bin"),
    read(".ghcup/ghc"),
    read(".elan"),
    read(".opam"),
];

/// Variables that say where a toolchain lies. Carried inside where the place is shown there.
pub const TOOLCHAIN_VARIABLES: &[&str] = &[
    "CARGO_HOME",
    "RUSTUP_HOME",
    "RUSTUP_TOOLCHAIN",
    "PYENV_ROOT",
    "PYENV_VERSION",
    "NVM_DIR",
    "NVM_BIN",
    "VOLTA_HOME",
    "GOPATH",
    "GOROOT",
    "GOMODCACHE",
    "JAVA_HOME",
    "SDKMAN_DIR",
    "M2_HOME",
    "GRADLE_USER_HOME",
    "RBENV_ROOT",
    "ASDF_DIR",
    "ASDF_DATA_DIR",
    "MISE_DATA_DIR",
    "DOTNET_ROOT",
    "VIRTUAL_ENV",
    "CONDA_PREFIX",
];
