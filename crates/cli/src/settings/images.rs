//! The section `[images]`: how registries are reached and how much is taken from them. Only a
//! person's or an administrator's own files may have it, never a repository's.

mod credentials;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use quire_images::{ImagesConfig, Limits, PrivateHosts};
use serde::Deserialize;

pub use self::credentials::CredentialWords;
use super::Setting;
use super::egress::Egress;
use crate::exit::usage;

/// The most hosts of a list.
const MOST_HOSTS: usize = 1_000;

/// A file of certificates is at most this long, in bytes.
const MOST_CA_BYTES: u64 = 4 << 20;

/// Among the private hosts it stands for all of them.
const ANY: &str = "*";

/// What of the section was set.
#[derive(Debug, Clone, Default)]
pub struct Images {
    default_registry: Option<Setting<String>>,
    default_namespace: Option<Setting<String>>,
    plain_http: Option<Setting<Vec<String>>>,
    private: Option<Setting<Vec<String>>>,
    ca_file: Option<Setting<PathBuf>>,
    docker_config: Option<Setting<PathBuf>>,
    credentials: BTreeMap<String, Setting<CredentialWords>>,
    limits: LimitWords,
    limits_origin: Option<String>,
}

/// The section as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImagesWords {
    default_registry: Option<String>,
    default_namespace: Option<String>,
    plain_http: Option<Vec<String>>,
    private: Option<Vec<String>>,
    ca_file: Option<PathBuf>,
    docker_config: Option<PathBuf>,
    #[serde(default)]
    credentials: BTreeMap<String, CredentialWords>,
    #[serde(default)]
    limits: LimitWords,
}

/// How much is taken: what is not set is as the program has it.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct LimitWords {
    layers: Option<usize>,
    download_gib: Option<u64>,
    unpacked_gib: Option<u64>,
    files: Option<u64>,
    ratio: Option<u64>,
    kept_gib: Option<u64>,
}

impl Images {
    /// Takes what a file says over what was there.
    pub(super) fn layer(&mut self, words: ImagesWords, origin: &str) -> anyhow::Result<()> {
        fn set<T>(setting: &mut Option<Setting<T>>, value: Option<T>, origin: &str) {
            if let Some(value) = value {
                *setting = Some(Setting { value, origin: origin.to_owned() });
            }
        }
        for (key, list) in [("plain_http", &words.plain_http), ("private", &words.private)] {
            check_hosts(list.as_deref().unwrap_or_default(), origin, key)?;
        }
        if let Some(registry) = &words.default_registry {
            check_hosts(std::slice::from_ref(registry), origin, "default_registry")?;
        }
        for (key, file) in [("ca_file", &words.ca_file), ("docker_config", &words.docker_config)] {
            if let Some(file) = file.as_ref().filter(|file| !file.is_absolute()) {
                let file = file.display();
                return Err(usage(format!("{origin}: `images.{key}` ({file}) must be absolute")));
            }
        }
        for (registry, credential) in words.credentials {
            credential.check(&registry).map_err(|why| usage(format!("{origin}: {why}")))?;
            let origin = origin.to_owned();
            self.credentials
                .insert(registry.to_ascii_lowercase(), Setting { value: credential, origin });
        }
        set(&mut self.default_registry, words.default_registry, origin);
        set(&mut self.default_namespace, words.default_namespace, origin);
        set(&mut self.plain_http, words.plain_http, origin);
        set(&mut self.private, words.private, origin);
        set(&mut self.ca_file, words.ca_file, origin);
        set(&mut self.docker_config, words.docker_config, origin);
        self.limits.layer(words.limits, &mut self.limits_origin, origin);
        Ok(())
    }

    /// Name, value and origin of what is set: never a secret, as these are in files of their own.
    pub(super) fn rows(&self) -> Vec<[String; 3]> {
        fn row<T>(
            name: &str,
            setting: Option<&Setting<T>>,
            text: impl Fn(&T) -> String,
        ) -> [String; 3] {
            let origin = setting.map_or("default", |setting| &setting.origin).to_owned();
            let value = setting.map(|setting| text(&setting.value)).unwrap_or_default();
            [format!("images.{name}"), value, origin]
        }
        let list = |list: &Vec<String>| list.join(", ");
        let path = |path: &PathBuf| path.display().to_string();
        let mut rows = vec![
            row("default_registry", self.default_registry.as_ref(), Clone::clone),
            row("plain_http", self.plain_http.as_ref(), list),
            row("private", self.private.as_ref(), list),
            row("ca_file", self.ca_file.as_ref(), path),
            row("docker_config", self.docker_config.as_ref(), path),
        ];
        for (registry, credential) in &self.credentials {
            let name = format!("credentials.{registry}");
            rows.push(row(&name, Some(credential), CredentialWords::shown));
        }
        if let Some(origin) = &self.limits_origin {
            let limits = self.limits.over(Limits::default());
            let text = format!(
                "{} layers, {} GiB to fetch, {} GiB unpacked, {} files a layer, {} GiB kept",
                limits.layers,
                limits.download_bytes >> 30,
                limits.unpacked_bytes >> 30,
                limits.entries,
                limits.kept_bytes >> 30
            );
            rows.push(["images.limits".to_owned(), text, origin.clone()]);
        }
        rows
    }

    /// What opens the images kept in `dir`: files are read when the first image is needed, so that
    /// a mistake in them holds up nobody who needs none. `program` is our own, or why that is not
    /// known.
    pub fn config(
        &self,
        egress: &Egress,
        dir: &Path,
        program: &std::io::Result<PathBuf>,
    ) -> Result<ImagesConfig, String> {
        let program = program.as_ref().map_err(|error| {
            format!("cannot tell where Quire's own program is, which unpacks images: {error}")
        })?;
        let mut settings = quire_images::Settings {
            default_registry: self.default_registry.as_ref().map(|one| one.value.clone()),
            limits: self.limits.over(Limits::default()),
            proxy: egress.proxy(),
            no_proxy: egress.no_proxy(),
            ..quire_images::Settings::default()
        };
        if let Some(namespace) = &self.default_namespace {
            settings.default_namespace =
                Some(namespace.value.clone()).filter(|name| !name.is_empty());
        }
        if let Some(plain) = &self.plain_http {
            settings.plain_http.clone_from(&plain.value);
        }
        if let Some(private) = &self.private {
            settings.private_hosts = if private.value.iter().any(|host| host == ANY) {
                PrivateHosts::Any
            } else {
                PrivateHosts::Listed(private.value.clone())
            };
        }
        if let Some(file) = self.ca_file.as_ref().or(egress.ca_file()) {
            let pem = read(&file.value, MOST_CA_BYTES);
            let pem = pem.map_err(|why| {
                format!("{}: `ca_file` ({}): {why}", file.origin, file.value.display())
            })?;
            settings.authorities_pem.push(pem);
        }
        if let Some(file) = &self.docker_config {
            settings.credentials = credentials::of_docker(&file.value).map_err(|why| {
                let file_name = file.value.display();
                format!("{}: `images.docker_config` ({file_name}): {why}", file.origin)
            })?;
        }
        for (registry, words) in &self.credentials {
            let credential = words.value.open().map_err(|why| {
                format!("{}: `images.credentials.\"{registry}\"`: {why}", words.origin)
            })?;
            settings.credentials.insert(registry.clone(), credential);
        }
        Ok(ImagesConfig { dir: dir.to_owned(), program: program.clone(), settings })
    }
}

impl LimitWords {
    fn layer(&mut self, words: Self, from: &mut Option<String>, origin: &str) {
        let Self { layers, download_gib, unpacked_gib, files, ratio, kept_gib } = words;
        let any = layers.is_some()
            || [download_gib, unpacked_gib, files, ratio, kept_gib].iter().any(Option::is_some);
        if any {
            *from = Some(origin.to_owned());
        }
        self.layers = layers.or(self.layers);
        self.download_gib = download_gib.or(self.download_gib);
        self.unpacked_gib = unpacked_gib.or(self.unpacked_gib);
        self.files = files.or(self.files);
        self.ratio = ratio.or(self.ratio);
        self.kept_gib = kept_gib.or(self.kept_gib);
    }

    fn over(self, limits: Limits) -> Limits {
        let bytes = |gib: Option<u64>, otherwise: u64| {
            gib.map_or(otherwise, |gib| gib.saturating_mul(1 << 30))
        };
        Limits {
            layers: self.layers.unwrap_or(limits.layers),
            download_bytes: bytes(self.download_gib, limits.download_bytes),
            unpacked_bytes: bytes(self.unpacked_gib, limits.unpacked_bytes),
            entries: self.files.unwrap_or(limits.entries),
            ratio: self.ratio.unwrap_or(limits.ratio),
            kept_bytes: bytes(self.kept_gib, limits.kept_bytes),
            ..limits
        }
    }
}

/// `host` or `host:port`, as they stand before the first slash of an image's name.
fn check_hosts(list: &[String], origin: &str, key: &str) -> anyhow::Result<()> {
    if list.len() > MOST_HOSTS {
        return Err(usage(format!("{origin}: `images.{key}` has more than {MOST_HOSTS} entries")));
    }
    let plain = |host: &String| !host.is_empty() && !host.contains(['/', '@']) && host.is_ascii();
    match list.iter().find(|host| !plain(host)) {
        Some(host) => Err(usage(format!(
            "{origin}: `images.{key}`: `{host}` is no `host` or `host:port`: leave out scheme and \
             path"
        ))),
        None => Ok(()),
    }
}

/// A file of at most so many bytes; the error reads after its name.
fn read(path: &Path, most: u64) -> Result<Vec<u8>, String> {
    let found = std::fs::metadata(path).map_err(|error| error.to_string())?;
    if !found.is_file() || found.len() > most {
        return Err(format!("is no file of at most {} KiB", most >> 10));
    }
    std::fs::read(path).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn images(text: &str) -> anyhow::Result<Images> {
        let mut images = Images::default();
        images.layer(toml::from_str(text)?, "here")?;
        Ok(images)
    }

    fn config(text: &str) -> Result<ImagesConfig, String> {
        let program = Ok(PathBuf::from("/usr/bin/quire"));
        images(text).unwrap().config(&Egress::default(), Path::new("/data/images"), &program)
    }

    #[test]
    fn credentials_come_from_files_and_are_never_shown() {
        let dir = tempfile::tempdir().unwrap();
        let file = |name: &str, content: &str| {
            let path = dir.path().join(name);
            std::fs::write(&path, content).unwrap();
            path.display().to_string()
        };
        let password = file("password", "open sesame\n");
        let docker = file(
            "config.json",
            // `me:hidden`, and one that names a helper alone.
            r#"{"auths":{"https://registry.example/v1/":{"auth":"bWU6aGlkZGVu"},
                "other.example:5000":{"identitytoken":"hidden"},"third.example":{}},
                "credsStore":"desktop","HttpHeaders":{}}"#,
        );
        let text = format!(
            "default_registry = 'registry.example'\nprivate = ['10.1.2.3:5000']\n\
             docker_config = '{docker}'\n[credentials.'Registry.CORP:8443']\nuser = 'me'\n\
             password_file = '{password}'\n[limits]\nlayers = 7\nkept_gib = 2\n"
        );
        let found = config(&text).unwrap().settings;
        let names: Vec<&str> = found.credentials.keys().map(String::as_str).collect();
        assert_eq!(names, ["other.example:5000", "registry.corp:8443", "registry.example"]);
        assert_eq!((found.limits.layers, found.limits.kept_bytes), (7, 2 << 30));
        let quire_images::Credential::Basic { user, password } =
            &found.credentials["registry.corp:8443"]
        else {
            panic!("{:?}", found.credentials)
        };
        assert_eq!((user.as_str(), password.reveal().as_str()), ("me", "open sesame"));
        let shown = format!("{:?} {found:?}", images(&text).unwrap().rows());
        assert!(!shown.contains("sesame") && !shown.contains("hidden"), "{shown}");
        assert!(shown.contains("as me, by the password in "), "{shown}");
    }

    #[test]
    fn a_mistake_names_its_file_and_its_key() {
        for (text, said) in [
            ("private = ['https://registry.example']", "`images.private`"),
            ("default_registry = 'registry.example/library'", "`images.default_registry`"),
            ("ca_file = 'corp.pem'", "must be absolute"),
            ("[credentials.'a.example']\nuser = 'me'", "`password_file`"),
            ("[credentials.'a.example']\ntoken_file = 'token'", "absolute"),
        ] {
            let error = images(text).err().unwrap().to_string();
            assert!(error.starts_with("here: ") && error.contains(said), "{text}: {error}");
        }
        assert!(images("registry = 'x'").is_err());
        for (text, said) in [
            ("ca_file = '/nowhere/ca.pem'", "`ca_file` (/nowhere/ca.pem)"),
            ("docker_config = '/dev/null'", "is no file"),
            ("[credentials.'a.example']\ntoken_file = '/nowhere/t'", "`images.credentials."),
        ] {
            let error = config(text).err().unwrap();
            assert!(error.starts_with("here: ") && error.contains(said), "{text}: {error}");
        }
    }
}
