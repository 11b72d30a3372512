//! Where package managers keep the addresses that they fetch from: one entry per family.

use super::files::{self, Form};

/// Package managers that fetch from the same registries.
#[derive(Debug)]
pub struct Family {
    /// What people call it.
    pub name: &'static str,
    /// The managers of detection's table.
    pub managers: &'static [&'static str],
    /// Variables that hold addresses; a `*` stands for anything.
    pub variables: &'static [&'static str],
    /// Configuration files; a `*` stands for one name of a directory.
    pub files: &'static [(&'static str, Form)],
    /// What can be asked of the tools.
    pub questions: &'static [Question],
    /// Whether it is looked at whatever is in use, and nothing is said where it has none.
    pub silent: bool,
}

/// A command of the base that says what a tool is configured to, with the network closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Question {
    /// What people would write for it.
    pub says: &'static str,
    /// The program and its arguments.
    pub argv: &'static [&'static str],
    /// What of its output counts.
    pub take: Take,
}

/// What of a tool's output counts: beside what was asked, tools print addresses of their help.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Take {
    /// Lines that hold nothing but addresses.
    Lines,
    /// Every address.
    All,
    /// What stands between these two.
    Between(&'static str, &'static str),
}

impl Take {
    /// The addresses that count.
    pub(super) fn of(self, text: &str) -> Vec<String> {
        match self {
            Self::Lines => text
                .lines()
                .map(str::trim)
                .filter(|line| line.starts_with("http"))
                .flat_map(files::urls)
                .collect(),
            Self::All => files::urls(text),
            Self::Between(before, after) => text
                .split(before)
                .skip(1)
                .filter_map(|rest| rest.split_once(after))
                .filter(|(inside, _)| inside.len() < 2_048)
                .flat_map(|(inside, _)| files::urls(inside))
                .collect(),
        }
    }
}

const fn ask(says: &'static str, argv: &'static [&'static str], take: Take) -> Question {
    Question { says, argv, take }
}

/// pip has no command that says its default; `-I` keeps the current directory out of what is
/// imported. Debian keeps pip apart, as a wheel that new environments are filled from.
const PIP: &str = "
import glob, os, sys
try:
    import pip
except ImportError:
    places = ['/usr/share/python-wheels']
    try:
        import ensurepip
        places.append(os.path.join(os.path.dirname(ensurepip.__file__), '_bundled'))
    except ImportError:
        pass
    for place in places:
        sys.path[:0] = glob.glob(os.path.join(place, 'pip-*.whl'))
from pip._internal.models.index import PyPI
print(PyPI.simple_url)
print('https://' + PyPI.file_storage_domain)
";

/// All of them.
pub const FAMILIES: &[Family] = &[
    Family {
        name: "npm",
        managers: &["npm", "pnpm", "yarn", "bun"],
        variables: &[
            "npm_config_registry",
            "npm_config_@*:registry",
            "YARN_REGISTRY",
            "YARN_NPM_REGISTRY_SERVER",
            "BUN_CONFIG_REGISTRY",
        ],
        files: &[
            ("~/.npmrc", Form::Keys(&["registry"])),
            ("/etc/npmrc", Form::Keys(&["registry"])),
            ("/usr/etc/npmrc", Form::Keys(&["registry"])),
            ("/usr/local/etc/npmrc", Form::Keys(&["registry"])),
            ("~/.config/pnpm/rc", Form::Keys(&["registry"])),
            ("~/.yarnrc", Form::Keys(&["registry"])),
            ("~/.yarnrc.yml", Form::Keys(&["npmRegistryServer"])),
            ("~/.bunfig.toml", Form::Keys(&["registry", "url"])),
        ],
        questions: &[
            ask("npm config get registry", &["npm", "config", "get", "registry"], Take::Lines),
            ask("pnpm config get registry", &["pnpm", "config", "get", "registry"], Take::Lines),
            ask("yarn config get registry", &["yarn", "config", "get", "registry"], Take::Lines),
            ask(
                "yarn config get npmRegistryServer",
                &["yarn", "config", "get", "npmRegistryServer"],
                Take::Lines,
            ),
        ],
        silent: false,
    },
    Family {
        name: "pip",
        managers: &["pip", "pyproject", "poetry", "uv", "pipenv"],
        variables: &[
            "PIP_INDEX_URL",
            "PIP_EXTRA_INDEX_URL",
            "PIP_FIND_LINKS",
            "UV_INDEX_URL",
            "UV_EXTRA_INDEX_URL",
            "UV_DEFAULT_INDEX",
            "UV_INDEX",
            "PIPENV_PYPI_MIRROR",
        ],
        files: &[
            ("/etc/pip.conf", PIP_CONF),
            ("~/.pip/pip.conf", PIP_CONF),
            ("~/.config/pip/pip.conf", PIP_CONF),
            ("/etc/uv/uv.toml", UV_TOML),
            ("~/.config/uv/uv.toml", UV_TOML),
        ],
        questions: &[ask("python3, of pip's defaults", &["python3", "-I", "-c", PIP], Take::Lines)],
        silent: false,
    },
    Family {
        name: "cargo",
        managers: &["cargo"],
        variables: &["CARGO_REGISTRIES_*_INDEX", "CARGO_SOURCE_*_REGISTRY"],
        files: &[
            ("~/.cargo/config.toml", Form::Keys(&["registry", "index"])),
            ("~/.cargo/config", Form::Keys(&["registry", "index"])),
            ("/usr/local/cargo/config.toml", Form::Keys(&["registry", "index"])),
            // What an index that was once used says of where its files are.
            ("~/.cargo/registry/index/*/config.json", Form::All),
            ("/usr/local/cargo/registry/index/*/config.json", Form::All),
        ],
        // It has no command for it, but its complaint about the closed network names the place.
        questions: &[ask(
            "cargo info",
            &["cargo", "info", "quire@0.0.0"],
            Take::Between("failed to download from `", "`"),
        )],
        silent: false,
    },
    Family {
        name: "go",
        managers: &["go"],
        variables: &["GOPROXY", "GOSUMDB"],
        files: &[("~/.config/go/env", Form::Keys(&["GOPROXY", "GOSUMDB"]))],
        questions: &[ask("go env GOPROXY", &["go", "env", "GOPROXY"], Take::Lines)],
        silent: false,
    },
    Family {
        name: "bundler",
        managers: &["bundler"],
        variables: &["BUNDLE_MIRROR__*"],
        files: &[
            ("~/.gemrc", Form::All),
            ("/etc/gemrc", Form::All),
            ("~/.bundle/config", Form::All),
            ("/usr/local/bundle/config", Form::All),
        ],
        questions: &[ask("gem sources", &["gem", "sources", "--list"], Take::Lines)],
        silent: false,
    },
    Family {
        name: "composer",
        managers: &["composer"],
        variables: &[],
        files: &[
            ("~/.composer/config.json", Form::All),
            ("~/.config/composer/config.json", Form::All),
        ],
        questions: &[ask(
            "composer config repositories",
            &["composer", "config", "--global", "--no-interaction", "repositories"],
            Take::All,
        )],
        silent: false,
    },
    Family {
        name: "mix",
        managers: &["mix"],
        variables: &["HEX_MIRROR", "HEX_MIRROR_URL", "HEX_API_URL"],
        files: &[],
        questions: &[ask("mix hex.repo list", &["mix", "hex.repo", "list"], Take::All)],
        silent: false,
    },
    Family {
        name: "maven",
        managers: &["maven", "gradle"],
        variables: &[],
        files: &[
            ("~/.m2/settings.xml", Form::XmlElements("url")),
            ("/etc/maven/settings.xml", Form::XmlElements("url")),
            ("/usr/share/maven/conf/settings.xml", Form::XmlElements("url")),
            ("~/.gradle/init.gradle", Form::All),
            ("~/.gradle/init.gradle.kts", Form::All),
            ("~/.gradle/init.d/*", Form::All),
        ],
        // Asked for what nobody has, it says where it would have looked.
        questions: &[ask(
            "mvn --offline",
            &["mvn", "--batch-mode", "--offline", "quire.absent:absent:0:absent"],
            Take::Between("Cannot access ", " in offline mode"),
        )],
        silent: false,
    },
    Family {
        name: "dotnet",
        managers: &["dotnet"],
        variables: &[],
        files: &[
            ("~/.nuget/NuGet/NuGet.Config", Form::XmlElements("packageSources")),
            ("~/.config/NuGet/NuGet.Config", Form::XmlElements("packageSources")),
        ],
        questions: &[ask(
            "dotnet nuget list source",
            &["dotnet", "nuget", "list", "source"],
            Take::Lines,
        )],
        silent: false,
    },
    Family {
        name: "apt",
        managers: &[],
        variables: &[],
        files: &[
            ("/etc/apt/sources.list", Form::AptLines),
            ("/etc/apt/sources.list.d/*.list", Form::AptLines),
            ("/etc/apt/sources.list.d/*.sources", Form::AptStanzas),
        ],
        questions: &[],
        silent: true,
    },
];

const PIP_CONF: Form = Form::Keys(&["index-url", "extra-index-url", "find-links"]);
const UV_TOML: Form = Form::Keys(&["index-url", "extra-index-url", "url"]);
