//! What a registry says an image is made of: indexes, manifests, configurations.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::error::ImageError;

/// What is asked for, in the order of the specification.
pub(crate) const ACCEPT: &str = "application/vnd.oci.image.index.v1+json, \
     application/vnd.docker.distribution.manifest.list.v2+json, \
     application/vnd.oci.image.manifest.v1+json, \
     application/vnd.docker.distribution.manifest.v2+json";

/// What something is named, typed and sized by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Descriptor {
    #[serde(default)]
    pub(crate) media_type: String,
    pub(crate) digest: Digest,
    pub(crate) size: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) platform: Option<Platform>,
}

impl Descriptor {
    /// A layer that the registry may not hand out.
    pub(crate) fn is_foreign(&self) -> bool {
        self.media_type.contains("foreign") || self.media_type.contains("nondistributable")
    }
}

/// Which machines an image is for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Platform {
    #[serde(default)]
    pub(crate) architecture: String,
    #[serde(default)]
    pub(crate) os: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) variant: Option<String>,
}

impl Platform {
    /// This machine, in the words of images.
    pub(crate) fn own() -> Self {
        let architecture = match std::env::consts::ARCH {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            "x86" => "386",
            "powerpc64" => "ppc64le",
            other => other,
        };
        Self { architecture: architecture.to_owned(), os: "linux".to_owned(), variant: None }
    }

    /// The ELF machine number of this machine's programs.
    pub(crate) fn own_machine() -> Option<u16> {
        match std::env::consts::ARCH {
            "x86_64" => Some(62),
            "aarch64" => Some(183),
            "riscv64" => Some(243),
            "s390x" => Some(22),
            _ => None,
        }
    }

    fn fits(&self, own: &Self) -> bool {
        self.os == own.os && self.architecture == own.architecture
    }

    /// Those that every machine of the architecture can run stand first.
    fn rank(&self) -> u8 {
        match self.variant.as_deref() {
            None | Some("" | "v8" | "v1") => 0,
            Some(_) => 1,
        }
    }
}

impl std::fmt::Display for Platform {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let plain = |text: &str| -> String {
            text.chars().filter(char::is_ascii_graphic).take(40).collect()
        };
        write!(f, "{}/{}", plain(&self.os), plain(&self.architecture))?;
        match self.variant.as_deref().filter(|variant| !variant.is_empty()) {
            Some(variant) => write!(f, "/{}", plain(variant)),
            None => Ok(()),
        }
    }
}

/// What came for a tag or digest.
#[derive(Debug)]
pub(crate) enum Document {
    /// A list of images for several machines.
    Index(Vec<Descriptor>),
    /// One image.
    Image(Manifest),
}

/// One image.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Manifest {
    pub(crate) config: Descriptor,
    pub(crate) layers: Vec<Descriptor>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Loose {
    #[serde(default)]
    schema_version: u32,
    manifests: Option<Vec<Descriptor>>,
    config: Option<Descriptor>,
    layers: Option<Vec<Descriptor>>,
}

impl Document {
    /// Reads what came. What it is, its content says: media types are often wrong.
    pub(crate) fn read(what: &str, text: &[u8]) -> Result<Self, ImageError> {
        let wrong =
            |why: String| ImageError::Malformed { what: format!("the manifest of {what}"), why };
        if text.trim_ascii_start().starts_with(b"<") {
            return Err(wrong(
                "a page came in its place; check the registry's name, and whether a proxy or a login \
                 stands before it"
                    .to_owned(),
            ));
        }
        let loose: Loose =
            serde_json::from_slice(text).map_err(|error| wrong(error.to_string()))?;
        match loose {
            Loose { schema_version: 1, .. } => {
                Err(wrong("it has the form of before 2017 (schema 1): push the image anew".into()))
            }
            Loose { manifests: Some(manifests), config: None, .. } => Ok(Self::Index(manifests)),
            Loose { config: Some(config), layers: Some(layers), manifests: None, .. } => {
                Ok(Self::Image(Manifest { config, layers }))
            }
            _ => Err(wrong("it is neither an image nor a list of images".to_owned())),
        }
    }
}

/// The image of a list that this machine runs.
pub(crate) fn choose<'a>(
    image: &str,
    all: &'a [Descriptor],
    own: &Platform,
) -> Result<&'a Descriptor, ImageError> {
    let with_platform = || all.iter().filter_map(|entry| Some((entry, entry.platform.as_ref()?)));
    let fitting = with_platform().filter(|(_, platform)| platform.fits(own));
    if let Some((entry, _)) = fitting.min_by_key(|(_, platform)| platform.rank()) {
        return Ok(entry);
    }
    // Entries of unknown platforms are attestations, not images.
    let mut there: Vec<String> = with_platform()
        .filter(|(_, platform)| platform.os != "unknown")
        .map(|(_, platform)| platform.to_string())
        .take(40)
        .collect();
    there.sort();
    there.dedup();
    if there.is_empty() {
        there.push("unnamed machines".to_owned());
    }
    Err(ImageError::Architecture { image: image.to_owned(), wanted: own.to_string(), there })
}

/// What an image says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct Described {
    pub(crate) env: BTreeMap<String, String>,
    pub(crate) workdir: Option<String>,
    pub(crate) user: Option<String>,
    pub(crate) labels: BTreeMap<String, String>,
    /// Whether it names an entry point or a command of its own.
    pub(crate) starts: bool,
    /// The digest of each layer without compression.
    pub(crate) diff_ids: Vec<Digest>,
    pub(crate) platform: Option<Platform>,
}

#[derive(Deserialize)]
struct Config {
    #[serde(flatten)]
    platform: Platform,
    #[serde(default, rename = "config")]
    runtime: Option<Runtime>,
    rootfs: RootFs,
}

#[derive(Deserialize)]
struct RootFs {
    #[serde(default)]
    diff_ids: Option<Vec<Digest>>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct Runtime {
    env: Option<Vec<String>>,
    working_dir: Option<String>,
    user: Option<String>,
    labels: Option<BTreeMap<String, String>>,
    entrypoint: Option<serde_json::Value>,
    cmd: Option<serde_json::Value>,
}

impl Described {
    /// Reads a configuration.
    pub(crate) fn read(what: &str, text: &[u8]) -> Result<Self, ImageError> {
        let config: Config =
            serde_json::from_slice(text).map_err(|error| ImageError::Malformed {
                what: format!("the configuration of {what}"),
                why: error.to_string(),
            })?;
        let runtime = config.runtime.unwrap_or_default();
        let plain = |text: &str| !text.contains('\0');
        let is_name = |name: &str| !name.is_empty() && plain(name) && !name.contains('=');
        let env = runtime.env.unwrap_or_default().into_iter().filter_map(|entry| {
            let (name, value) = entry.split_once('=')?;
            (is_name(name) && plain(value)).then(|| (name.to_owned(), value.to_owned()))
        });
        let given = |text: Option<String>| text.filter(|text| !text.is_empty() && plain(text));
        let named = |value: &Option<serde_json::Value>| {
            value.as_ref().is_some_and(|value| value.as_array().is_some_and(|all| !all.is_empty()))
        };
        Ok(Self {
            env: env.collect(),
            workdir: given(runtime.working_dir),
            user: given(runtime.user),
            labels: runtime.labels.unwrap_or_default(),
            starts: named(&runtime.entrypoint) || named(&runtime.cmd),
            diff_ids: config.rootfs.diff_ids.unwrap_or_default(),
            platform: Some(config.platform),
        })
    }

    /// Whether this machine runs it. An image that does not say is tried.
    pub(crate) fn check_platform(&self, image: &str, own: &Platform) -> Result<(), ImageError> {
        match &self.platform {
            Some(platform) if !platform.architecture.is_empty() && !platform.fits(own) => {
                Err(ImageError::Architecture {
                    image: image.to_owned(),
                    wanted: own.to_string(),
                    there: vec![platform.to_string()],
                })
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Described, Descriptor, Document, Platform, choose};
    use crate::digest::Digest;

    fn entry(os: &str, architecture: &str, variant: Option<&str>) -> Descriptor {
        Descriptor {
            media_type: String::new(),
            digest: Digest::of(format!("{os}{architecture}{variant:?}").as_bytes()),
            size: 1,
            platform: Some(Platform {
                architecture: architecture.to_owned(),
                os: os.to_owned(),
                variant: variant.map(str::to_owned),
            }),
        }
    }

    #[test]
    fn the_image_for_this_machine_is_chosen_and_else_it_is_told_what_there_is() {
        let arm = Platform { architecture: "arm64".into(), os: "linux".into(), variant: None };
        let all = [
            entry("unknown", "unknown", None),
            entry("windows", "arm64", None),
            entry("linux", "arm64", Some("v9")),
            entry("linux", "arm64", Some("v8")),
            entry("linux", "s390x", None),
        ];
        assert_eq!(choose("x", &all, &arm).unwrap(), &all[3]);
        let told = choose("h.example/x:t", &all[..2], &arm).unwrap_err().to_string();
        assert_eq!(
            told,
            "`h.example/x:t` is not there for linux/arm64, only for windows/arm64; name an image or \
             a tag that is built for linux/arm64"
        );
    }

    #[test]
    fn documents_are_told_apart_by_their_content() {
        let digest = Digest::of(b"");
        let one = format!(
            r#"{{"schemaVersion":2,"config":{{"digest":"{digest}","size":2}},"layers":[]}}"#
        );
        assert!(matches!(Document::read("x", one.as_bytes()), Ok(Document::Image(_))));
        let list = r#"{"schemaVersion":2,"mediaType":"x","manifests":[]}"#;
        assert!(matches!(Document::read("x", list.as_bytes()), Ok(Document::Index(_))));
        for bad in ["", "{}", "[]", r#"{"schemaVersion":1}"#, r#"{"manifests":[],"config":3}"#] {
            assert!(Document::read("x", bad.as_bytes()).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_configuration_gives_what_commands_need() {
        let text = r#"{"architecture":"amd64","os":"linux","config":{"Env":["A=b=c","BAD","=x"],
            "User":"","WorkingDir":"/w","Entrypoint":null,"Cmd":["sh"],"Labels":null},
            "rootfs":{"type":"layers","diff_ids":null}}"#;
        let read = Described::read("x", text.as_bytes()).unwrap();
        assert_eq!(read.env, [("A".to_owned(), "b=c".to_owned())].into());
        assert_eq!((read.workdir.as_deref(), read.user, read.starts), (Some("/w"), None, true));
    }
}
