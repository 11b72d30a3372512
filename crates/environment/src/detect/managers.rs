//! The package managers that are recognised, by their lock files: one line each.

/// What a package manager is known by, and what brings its packages.
#[derive(Debug, Clone, Copy)]
pub struct Manager {
    /// What people call it.
    pub name: &'static str,
    /// Its ecosystem: of several managers of one, the first that is found counts.
    pub ecosystem: &'static str,
    /// Names of its lock files.
    pub lock_files: &'static [&'static str],
    /// What brings the packages, run in the lock file's directory.
    pub command: &'static str,
    /// The programs it needs in the base; the first is the manager itself.
    pub programs: &'static [&'static str],
    /// The directories beside the lock file, one of which holds the packages once they are there.
    pub beside: &'static [&'static str],
    /// The directory below the home directory that holds them for every repository.
    pub cache: Option<&'static str>,
    /// How a lock file that names no package is told: it has none of these.
    pub names_packages: &'static [&'static str],
}

/// Python's packages go into an environment of the sandbox's home: the system's own is often
/// managed by the distribution, and one in the tree would be untracked where it is not ignored.
const VENV: &str = "python3 -m venv \"$HOME/.venv\" && \
    { echo \"VIRTUAL_ENV=$HOME/.venv\"; echo \"PATH=$HOME/.venv/bin:$PATH\"; } >> \"$QUIRE_ENV\" && ";

/// In this order: of one ecosystem, the more particular before the more common.
pub const MANAGERS: &[Manager] = &[
    Manager {
        name: "pnpm",
        ecosystem: "node",
        lock_files: &["pnpm-lock.yaml"],
        command: "pnpm install --frozen-lockfile",
        programs: &["pnpm", "node"],
        beside: &["node_modules"],
        cache: None,
        names_packages: &["\npackages:"],
    },
    Manager {
        name: "yarn",
        ecosystem: "node",
        lock_files: &["yarn.lock"],
        // The newer line of yarn has another word for the same thing, and says which it is.
        command: "if [ -e .yarnrc.yml ]; then yarn install --immutable; \
            else yarn install --frozen-lockfile --non-interactive; fi",
        programs: &["yarn", "node"],
        beside: &["node_modules", ".pnp.cjs"],
        cache: None,
        names_packages: &["\nversion ", "resolution:", "resolved "],
    },
    Manager {
        name: "bun",
        ecosystem: "node",
        lock_files: &["bun.lock", "bun.lockb"],
        command: "bun install --frozen-lockfile",
        programs: &["bun"],
        beside: &["node_modules"],
        cache: None,
        names_packages: &[],
    },
    Manager {
        name: "npm",
        ecosystem: "node",
        lock_files: &["package-lock.json", "npm-shrinkwrap.json"],
        command: "npm ci --no-audit --no-fund",
        programs: &["npm", "node"],
        beside: &["node_modules"],
        cache: None,
        names_packages: &["\"node_modules/", "\"resolved\"", "\"integrity\""],
    },
    Manager {
        name: "uv",
        ecosystem: "python",
        lock_files: &["uv.lock"],
        command: "uv sync --frozen",
        programs: &["uv", "python3"],
        beside: &[".venv", "venv"],
        cache: None,
        names_packages: &["sdist = ", "wheels = "],
    },
    Manager {
        name: "poetry",
        ecosystem: "python",
        lock_files: &["poetry.lock"],
        command: "poetry install --no-interaction",
        programs: &["poetry", "python3"],
        beside: &[".venv", "venv"],
        cache: None,
        names_packages: &["[[package]]"],
    },
    Manager {
        name: "pipenv",
        ecosystem: "python",
        lock_files: &["Pipfile.lock"],
        command: "pipenv sync --dev",
        programs: &["pipenv", "python3"],
        beside: &[".venv", "venv"],
        cache: None,
        names_packages: &["\"hashes\"", "\"version\""],
    },
    Manager {
        name: "pip",
        ecosystem: "python",
        lock_files: &["requirements.txt"],
        command: "\"$HOME/.venv/bin/pip\" install -r requirements.txt",
        programs: &["python3"],
        beside: &[".venv", "venv", "env"],
        cache: None,
        names_packages: &[],
    },
    Manager {
        name: "cargo",
        ecosystem: "rust",
        lock_files: &["Cargo.lock"],
        command: "cargo fetch --locked",
        programs: &["cargo"],
        beside: &["vendor"],
        cache: Some(".cargo/registry"),
        names_packages: &["source = \"registry", "source = \"sparse", "source = \"git"],
    },
    Manager {
        name: "go",
        ecosystem: "go",
        lock_files: &["go.sum"],
        command: "go mod download",
        programs: &["go"],
        beside: &["vendor"],
        cache: Some("go/pkg/mod"),
        names_packages: &[" h1:"],
    },
    Manager {
        name: "bundler",
        ecosystem: "ruby",
        lock_files: &["Gemfile.lock"],
        command: "export BUNDLE_PATH=\"$HOME/.bundle/gems\" && \
            echo \"BUNDLE_PATH=$BUNDLE_PATH\" >> \"$QUIRE_ENV\" && bundle install",
        programs: &["bundle", "ruby"],
        beside: &["vendor/bundle"],
        cache: None,
        names_packages: &["\n    "],
    },
    Manager {
        name: "composer",
        ecosystem: "php",
        lock_files: &["composer.lock"],
        command: "composer install --no-interaction --no-progress",
        programs: &["composer", "php"],
        beside: &["vendor"],
        cache: None,
        names_packages: &["\"dist\"", "\"source\""],
    },
    Manager {
        name: "mix",
        ecosystem: "elixir",
        lock_files: &["mix.lock"],
        command: "mix local.hex --force --if-missing && mix deps.get",
        programs: &["mix"],
        beside: &["deps"],
        cache: None,
        names_packages: &["{:hex", "{:git"],
    },
    Manager {
        name: "gradle",
        ecosystem: "java",
        lock_files: &["gradle.lockfile", "gradlew"],
        // The wrapper of the repository brings the version it was written for.
        command: "if [ -x ./gradlew ]; then ./gradlew --no-daemon --console=plain dependencies; \
            else gradle --no-daemon --console=plain dependencies; fi",
        programs: &["java"],
        beside: &[],
        cache: Some(".gradle/caches"),
        names_packages: &[],
    },
    Manager {
        name: "maven",
        ecosystem: "java",
        lock_files: &["pom.xml"],
        command: "mvn --batch-mode --quiet dependency:go-offline",
        programs: &["mvn", "java"],
        beside: &[],
        cache: Some(".m2/repository"),
        names_packages: &["<dependency>", "<plugin>", "<parent>"],
    },
    Manager {
        name: "dotnet",
        ecosystem: "dotnet",
        lock_files: &["packages.lock.json"],
        command: "dotnet restore --locked-mode",
        programs: &["dotnet"],
        beside: &[],
        cache: Some(".nuget/packages"),
        names_packages: &["\"resolved\""],
    },
];

impl Manager {
    /// The whole command.
    pub fn script(&self) -> String {
        if self.name == "pip" { format!("{VENV}{}", self.command) } else { self.command.to_owned() }
    }

    /// Whether a lock file with this text names a package at all.
    pub fn names_any(&self, text: &str) -> bool {
        if self.name == "pip" {
            let line = |line: &str| !line.trim().is_empty() && !line.trim_start().starts_with('#');
            return text.lines().any(line);
        }
        self.names_packages.is_empty() || self.names_packages.iter().any(|mark| text.contains(mark))
    }
}
