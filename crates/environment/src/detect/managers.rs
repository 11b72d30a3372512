//! The package managers that are recognised, by their lock files: one entry each.

/// What a package manager is known by, and what brings its packages.
#[derive(Debug, Clone, Copy)]
pub struct Manager {
    /// What people call it.
    pub name: &'static str,
    /// Its ecosystem: of several managers of one, the first that can be heeded counts.
    pub ecosystem: &'static str,
    /// Names of its lock files.
    pub lock_files: &'static [&'static str],
    /// Names of further files whose change means that setup has to run again.
    pub also: &'static [&'static str],
    /// What people would write for it.
    pub says: &'static str,
    /// What brings the packages, run in the lock file's directory.
    pub command: &'static str,
    /// The programs it needs in the base; the first is the manager itself.
    pub programs: &'static [&'static str],
    /// A script of the repository that brings the manager along, so that the base needs none.
    pub wrapper: Option<&'static str>,
    /// What one can add to `setup` where the base lacks the manager itself.
    pub install: Option<&'static str>,
    /// Paths beside the lock file, each of which is there only where the packages are.
    pub beside: &'static [&'static str],
    /// Where the home directory holds them for every repository.
    pub cache: Cache,
    /// How a lock file that names no package is told: it has none of these.
    pub names_packages: &'static [&'static str],
}

/// What a directory of the home holds of a repository's packages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cache {
    /// There is none, or a directory beside the lock file is needed all the same.
    None,
    /// Whatever is in this directory is taken for all of them: what a repository needs cannot be
    /// read from its files alone.
    Any(&'static str),
    /// Cargo's, where each package of a lock file has a file.
    Cargo,
    /// Go's, where each module has a file.
    Go,
}

/// Python's packages go into an environment of the sandbox's home: the system's own is often
/// managed by the distribution, and one in the tree would be untracked where it is not ignored.
macro_rules! in_venv {
    ($command:literal) => {
        concat!(
            "python3 -m venv \"$HOME/.venv\" && ",
            "export VIRTUAL_ENV=\"$HOME/.venv\" PATH=\"$HOME/.venv/bin:$PATH\" && ",
            "printf 'VIRTUAL_ENV=%s\\nPATH=%s\\n' \"$VIRTUAL_ENV\" \"$PATH\" >> \"$QUIRE_ENV\" && ",
            $command
        )
    };
}

/// Gradle's own `dependencies` reads what there is and fetches no artifact; this resolves the files
/// of whatever can be resolved, and leaves what cannot.
const GRADLE: &str = r#"printf '%s\n' 'allprojects { tasks.register("quireFetch") { doLast {' \
  '  (buildscript.configurations + configurations).findAll { it.canBeResolved }.each {' \
  '    it.incoming.artifactView { lenient = true }.files.files } } } }' > "${TMPDIR:-/tmp}/fetch.gradle"
if [ -x ./gradlew ]; then gradle=./gradlew; else gradle=gradle; fi
"$gradle" --no-daemon --console=plain --quiet -I "${TMPDIR:-/tmp}/fetch.gradle" quireFetch"#;

/// `dependency:go-offline` leaves out what surefire finds out while it runs, and fails where modules
/// stand on one another; a test run that selects no test fetches all of it.
const MAVEN: &str = "if [ -x ./mvnw ]; then maven=./mvnw; else maven=mvn; fi
\"$maven\" --batch-mode --quiet test -Dtest=NoTestHasThisName -DfailIfNoTests=false \
-Dsurefire.failIfNoSpecifiedTests=false";

/// The two lines of yarn have different words for the same thing.
const YARN: &str = "case \"$(yarn --version)\" in \
    0.*|1.*) yarn install --frozen-lockfile --non-interactive;; *) yarn install --immutable;; esac";

/// In this order: of one ecosystem, the more particular before the more common.
pub const MANAGERS: &[Manager] = &[
    Manager {
        name: "pnpm",
        ecosystem: "node",
        lock_files: &["pnpm-lock.yaml"],
        also: &["pnpm-workspace.yaml"],
        says: "pnpm install --frozen-lockfile",
        command: "pnpm install --frozen-lockfile",
        programs: &["pnpm", "node"],
        wrapper: None,
        install: Some("npm i -g pnpm"),
        beside: &["node_modules"],
        cache: Cache::None,
        names_packages: &["\npackages:"],
    },
    Manager {
        name: "yarn",
        ecosystem: "node",
        lock_files: &["yarn.lock"],
        also: &[],
        says: "yarn install",
        command: YARN,
        programs: &["yarn", "node"],
        wrapper: None,
        install: Some("npm i -g yarn"),
        // Not `.yarn/cache`: with it the installation is a matter of a second, and without one
        // nothing is found there.
        beside: &["node_modules"],
        cache: Cache::None,
        // What a workspace itself is, is `unknown` or `link:soft`.
        names_packages: &["resolved ", "integrity ", "languageName: node"],
    },
    Manager {
        name: "bun",
        ecosystem: "node",
        lock_files: &["bun.lock", "bun.lockb"],
        also: &[],
        says: "bun install --frozen-lockfile",
        command: "bun install --frozen-lockfile",
        programs: &["bun"],
        wrapper: None,
        install: Some("npm i -g bun"),
        beside: &["node_modules"],
        cache: Cache::None,
        names_packages: &["\": [\""],
    },
    Manager {
        name: "npm",
        ecosystem: "node",
        lock_files: &["package-lock.json", "npm-shrinkwrap.json"],
        also: &[],
        says: "npm ci",
        command: "npm ci --no-audit --no-fund",
        programs: &["npm", "node"],
        wrapper: None,
        install: None,
        beside: &["node_modules"],
        cache: Cache::None,
        names_packages: &["\"node_modules/", "\"resolved\"", "\"integrity\""],
    },
    Manager {
        name: "uv",
        ecosystem: "python",
        lock_files: &["uv.lock"],
        also: &[],
        says: "uv sync --frozen",
        command: "export UV_PROJECT_ENVIRONMENT=\"$HOME/.venv\" && uv sync --frozen && \
            printf 'UV_PROJECT_ENVIRONMENT=%s\\nVIRTUAL_ENV=%s\\nPATH=%s\\n' \"$HOME/.venv\" \
            \"$HOME/.venv\" \"$HOME/.venv/bin:$PATH\" >> \"$QUIRE_ENV\"",
        programs: &["uv", "python3"],
        wrapper: None,
        install: Some("pip install uv"),
        beside: &[".venv/pyvenv.cfg", "venv/pyvenv.cfg"],
        cache: Cache::None,
        names_packages: &["source = { registry", "source = { git", "source = { url"],
    },
    Manager {
        name: "poetry",
        ecosystem: "python",
        lock_files: &["poetry.lock"],
        also: &[],
        says: "poetry install",
        command: in_venv!("poetry install --no-interaction"),
        programs: &["poetry", "python3"],
        wrapper: None,
        install: Some("pip install poetry"),
        beside: &[".venv/pyvenv.cfg", "venv/pyvenv.cfg"],
        cache: Cache::None,
        names_packages: &["[[package]]"],
    },
    Manager {
        name: "pipenv",
        ecosystem: "python",
        lock_files: &["Pipfile.lock"],
        also: &[],
        says: "pipenv sync --dev",
        command: in_venv!("pipenv sync --dev"),
        programs: &["pipenv", "python3"],
        wrapper: None,
        install: Some("pip install pipenv"),
        beside: &[".venv/pyvenv.cfg", "venv/pyvenv.cfg"],
        cache: Cache::None,
        names_packages: &["\"hashes\"", "\"version\"", "\"git\"", "\"path\""],
    },
    Manager {
        name: "pip",
        ecosystem: "python",
        lock_files: &["requirements.txt"],
        also: &[],
        says: "pip install -r requirements.txt",
        command: in_venv!("pip install --no-input -r requirements.txt"),
        programs: &["python3"],
        wrapper: None,
        install: None,
        beside: &[".venv/pyvenv.cfg", "venv/pyvenv.cfg", "env/pyvenv.cfg"],
        cache: Cache::None,
        names_packages: &[],
    },
    Manager {
        // For libraries, which are kept without a lock file. Of an extra that is not declared pip
        // says so and goes on.
        name: "pyproject",
        ecosystem: "python",
        lock_files: &["pyproject.toml", "setup.py"],
        also: &[],
        says: "pip install -e '.[dev,test,tests]'",
        command: in_venv!("pip install --no-input -e '.[dev,test,tests]'"),
        programs: &["python3"],
        wrapper: None,
        install: None,
        beside: &[".venv/pyvenv.cfg", "venv/pyvenv.cfg", "env/pyvenv.cfg"],
        cache: Cache::None,
        // Many have the first file for the settings of tools alone.
        names_packages: &["[project]", "[tool.poetry]", "setup("],
    },
    Manager {
        name: "cargo",
        ecosystem: "rust",
        lock_files: &["Cargo.lock"],
        also: &[],
        says: "cargo fetch --locked",
        // Where the repository replaces its sources by `vendor`, this fetches nothing.
        command: "cargo fetch --locked",
        programs: &["cargo"],
        wrapper: None,
        install: None,
        beside: &[],
        cache: Cache::Cargo,
        names_packages: &["source = \"registry", "source = \"sparse", "source = \"git"],
    },
    Manager {
        name: "go",
        ecosystem: "go",
        lock_files: &["go.sum"],
        also: &["go.mod"],
        says: "go mod download",
        command: "go mod download",
        programs: &["go"],
        wrapper: None,
        install: None,
        beside: &["vendor/modules.txt"],
        cache: Cache::Go,
        names_packages: &[" h1:"],
    },
    Manager {
        name: "bundler",
        ecosystem: "ruby",
        lock_files: &["Gemfile.lock"],
        also: &[],
        says: "bundle install",
        command: "export BUNDLE_PATH=\"$HOME/.bundle/gems\" && \
            printf 'BUNDLE_PATH=%s\\n' \"$BUNDLE_PATH\" >> \"$QUIRE_ENV\" && bundle install",
        programs: &["bundle", "ruby"],
        wrapper: None,
        install: Some("gem install bundler"),
        beside: &["vendor/bundle", "vendor/cache"],
        cache: Cache::None,
        names_packages: &["\n    "],
    },
    Manager {
        name: "composer",
        ecosystem: "php",
        lock_files: &["composer.lock"],
        also: &[],
        says: "composer install",
        command: "composer install --no-interaction --no-progress",
        programs: &["composer", "php"],
        wrapper: None,
        install: None,
        beside: &["vendor/composer"],
        cache: Cache::None,
        names_packages: &["\"dist\"", "\"source\""],
    },
    Manager {
        name: "mix",
        ecosystem: "elixir",
        lock_files: &["mix.lock"],
        also: &[],
        says: "mix deps.get",
        command: "mix local.hex --force --if-missing && mix local.rebar --force --if-missing && \
            mix deps.get",
        programs: &["mix"],
        wrapper: None,
        install: None,
        beside: &["deps"],
        cache: Cache::None,
        names_packages: &["{:hex", "{:git"],
    },
    Manager {
        name: "gradle",
        ecosystem: "java",
        lock_files: &[
            "gradle.lockfile",
            "build.gradle",
            "build.gradle.kts",
            "settings.gradle",
            "settings.gradle.kts",
        ],
        also: &["libs.versions.toml", "gradle-wrapper.properties", "gradle.properties"],
        says: "gradle",
        command: GRADLE,
        programs: &["gradle", "java"],
        wrapper: Some("gradlew"),
        install: None,
        beside: &[],
        cache: Cache::Any(".gradle/caches"),
        names_packages: &[],
    },
    Manager {
        name: "maven",
        ecosystem: "java",
        lock_files: &["pom.xml"],
        also: &["maven-wrapper.properties"],
        says: "mvn test -Dtest=none",
        command: MAVEN,
        programs: &["mvn", "java"],
        wrapper: Some("mvnw"),
        install: None,
        beside: &[],
        cache: Cache::Any(".m2/repository"),
        names_packages: &[],
    },
    Manager {
        name: "dotnet",
        ecosystem: "dotnet",
        lock_files: &["packages.lock.json"],
        also: &[],
        says: "dotnet restore --locked-mode",
        command: "dotnet restore --locked-mode",
        programs: &["dotnet"],
        wrapper: None,
        install: None,
        beside: &[],
        cache: Cache::Any(".nuget/packages"),
        names_packages: &["\"resolved\""],
    },
];

impl Manager {
    /// Whether its files have more in them than what is installed: settings of tools, for one.
    pub fn is_no_lock_file(&self) -> bool {
        self.name == "pyproject"
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

/// Whether a file that is no lock file stands back, as one of its ecosystem lies beside it.
pub fn stands_back(path: &str, is_tracked: impl Fn(&str) -> bool) -> bool {
    let (directory, name) = path.rsplit_once('/').map_or(("", path), |(at, name)| (at, name));
    let of = |one: &&Manager| one.is_no_lock_file() && one.lock_files.contains(&name);
    let Some(own) = MANAGERS.iter().find(of) else { return false };
    let others =
        MANAGERS.iter().filter(|one| one.ecosystem == own.ecosystem && one.name != own.name);
    let mut files = others.flat_map(|one| one.lock_files);
    files.any(|file| match directory {
        "" => is_tracked(file),
        directory => is_tracked(&format!("{directory}/{file}")),
    })
}

/// Whether a change of the file at `path` means that setup has to run again.
pub fn is_lock_file(path: &str) -> bool {
    let (directory, name) = path.rsplit_once('/').unwrap_or(("", path));
    // pip's files include others.
    let is_text = path.strip_suffix(".txt").is_some();
    let included = is_text
        && (name.starts_with("requirements")
            || name.starts_with("constraints")
            || directory.rsplit('/').next() == Some("requirements"));
    included
        || MANAGERS
            .iter()
            .any(|manager| manager.lock_files.contains(&name) || manager.also.contains(&name))
}
