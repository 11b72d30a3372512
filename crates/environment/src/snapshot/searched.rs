//! What setup left is searched for secrets before it is kept, and where one is found is said in the
//! words of who wrote the script.

use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use quire_domain::sandbox::{SandboxBackend, SandboxSpec};
use tokio::sync::{mpsc, oneshot};

use super::manifest::Manifest;
use super::search::{Bounds, Leak, Part, SearchError, Values, search};

/// How long a search may take.
const TIME: Duration = Duration::from_mins(30);

/// Something that this process may not open, asked of the backend.
type Asked = (Vec<u8>, oneshot::Sender<io::Result<OwnedFd>>);

/// Ends a search that nobody waits for any more.
struct GivesUp(Arc<AtomicBool>);

impl Drop for GivesUp {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Searches what a sandbox of `spec` wrote to `upper`; gives a line for each value that was found.
/// No process of it may be alive.
pub(super) async fn leaks(
    sandboxes: &dyn SandboxBackend,
    values: &Arc<dyn Values>,
    upper: PathBuf,
    spec: &SandboxSpec,
) -> Result<Vec<String>, SearchError> {
    let (ask, mut asked) = mpsc::channel::<Asked>(1);
    let given_up = Arc::new(AtomicBool::new(false));
    let _gives_up = GivesUp(Arc::clone(&given_up));
    let (values, top) = (Arc::clone(values), upper.clone());
    let searching = tokio::task::spawn_blocking(move || {
        let opener = |path: &[u8]| {
            let (reply, opened) = oneshot::channel();
            let gone = || io::Error::other("the search was given up");
            ask.blocking_send((path.to_owned(), reply)).map_err(|_| gone())?;
            opened.blocking_recv().map_err(|_| gone())?
        };
        let bounds = Bounds { deadline: Instant::now() + TIME, given_up: &given_up };
        search(&top, values.as_ref(), &opener, &bounds)
    });
    // Ends when the search has dropped its end.
    while let Some((path, reply)) = asked.recv().await {
        let _ = reply.send(sandboxes.open_written(&upper, &path).await);
    }
    let failed = |error| SearchError::Io { path: String::new(), source: io::Error::other(error) };
    let found = searching.await.map_err(failed)??;
    Ok(found.iter().map(|leak| line(leak, spec)).collect())
}

/// Takes values out of what is kept beside the layers; gives a line for each that would go on.
pub(super) fn of_manifest(values: &dyn Values, manifest: &mut Manifest) -> Vec<String> {
    let mut lines = Vec::new();
    for (name, value) in &manifest.variables {
        if let Some(secret) = values.find(format!("{name}={value}").as_bytes()) {
            let name = if values.find(name.as_bytes()).is_some() { "…" } else { name };
            lines.push(format!("`{secret}` in the variable `{name}` of $QUIRE_ENV"));
        }
    }
    if let Some(path) = &manifest.hooks_path
        && let Some(secret) = values.find(path.as_bytes())
    {
        lines.push(format!("`{secret}` in git's core.hooksPath"));
    }
    // They name what is gone: files that were removed, processes that were ended.
    for note in &mut manifest.notes {
        if let Some(secret) = values.find(note.as_bytes()) {
            *note = format!("(a note is left out, as it holds the value of `{secret}`)");
        }
    }
    lines
}

fn line(leak: &Leak, spec: &SandboxSpec) -> String {
    let place = place(&leak.path, spec);
    let part = match leak.part {
        Part::Content => String::new(),
        Part::Path => "a name: ".to_owned(),
        Part::Target => "what a link leads to: ".to_owned(),
        Part::Attribute => "an extended attribute: ".to_owned(),
    };
    format!("`{}` in {part}{place}", leak.secret)
}

/// Where something of an upper (`<overlay>/upper/…`) is inside.
fn place(path: &str, spec: &SandboxSpec) -> String {
    let mut parts = path.splitn(3, '/');
    let (Some(overlay), Some("upper")) = (parts.next(), parts.next()) else {
        return path.to_owned();
    };
    let below = parts.next().unwrap_or_default();
    let mount = spec.overlays.iter().find(|mount| mount.name == overlay);
    let target = match (mount, overlay) {
        (Some(mount), _) => mount.target.clone(),
        (None, "home") => spec.home.clone(),
        (None, "root") => PathBuf::from("/"),
        (None, other) => Path::new("/").join(other),
    };
    target.join(below).display().to_string()
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::io;
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::fs::symlink;
    use std::path::Path;
    use std::sync::atomic::AtomicBool;
    use std::time::{Duration, Instant};

    use super::super::search::{Bounds, Leak, Part, SearchError, Values, search};

    struct One(&'static [u8]);

    impl Values for One {
        fn longest(&self) -> usize {
            self.0.len()
        }

        fn find(&self, bytes: &[u8]) -> Option<String> {
            let holds = bytes.windows(self.0.len()).any(|window| window == self.0);
            holds.then(|| "TOKEN".to_owned())
        }
    }

    const VALUE: &[u8] = b"s3cret/of-it";

    fn found(dir: &Path) -> Result<Vec<Leak>, SearchError> {
        let denied = |_: &[u8]| Err(io::ErrorKind::PermissionDenied.into());
        let (deadline, given_up) =
            (Instant::now() + Duration::from_mins(1), AtomicBool::new(false));
        search(dir, &One(VALUE), &denied, &Bounds { deadline, given_up: &given_up })
    }

    fn only(dir: &Path) -> (String, Part) {
        let mut leaks = found(dir).unwrap();
        assert_eq!(leaks.len(), 1, "{leaks:?}");
        let leak = leaks.remove(0);
        assert_eq!(leak.secret, "TOKEN");
        (leak.path, leak.part)
    }

    #[test]
    fn a_value_is_found_wherever_it_lies_and_its_place_is_told_without_it() {
        let text = std::str::from_utf8(VALUE).unwrap();
        let make = |what: &dyn Fn(&Path)| {
            let dir = tempfile::tempdir().unwrap();
            std::fs::create_dir_all(dir.path().join("a b/\u{fc}")).unwrap();
            std::fs::write(dir.path().join("a b/harmless"), "s3cret of it, s3cret/of-i").unwrap();
            symlink("/dev/zero", dir.path().join("zero")).unwrap();
            rustix::fs::mkfifoat(rustix::fs::CWD, dir.path().join("pipe"), 0o600.into()).unwrap();
            what(dir.path());
            dir
        };
        // Over the border of what is read at once, and after a hole of a gigabyte.
        for at in [0, (256 << 10) - 5, (512 << 10) - 1, 1 << 30] {
            let dir = make(&|dir| {
                use std::os::unix::fs::FileExt;
                let file = std::fs::File::create(dir.join("a b/\u{fc}/f")).unwrap();
                file.write_all_at(VALUE, at).unwrap();
                file.set_len(at + (1 << 30)).unwrap();
            });
            assert_eq!(only(dir.path()), ("a b/\u{fc}/f".to_owned(), Part::Content));
        }
        // As an encoder breaks it into lines, over the border of what is read at once.
        for end in ["\n", "\r\n"] {
            let dir = make(&|dir| {
                let before = "x".repeat((256 << 10) - 5);
                let text = format!("{before}s3cr{end}et/of-it{end}");
                std::fs::write(dir.join("a b/\u{fc}/f"), text).unwrap();
            });
            assert_eq!(only(dir.path()), ("a b/\u{fc}/f".to_owned(), Part::Content));
        }
        let dir = make(&|dir| {
            std::fs::create_dir_all(dir.join("a b/s3cret/of-it/deeper")).unwrap();
        });
        assert_eq!(only(dir.path()), ("a b/s3cret/…".to_owned(), Part::Path));
        let dir = make(&|dir| symlink(format!("/x/{text}"), dir.join("link")).unwrap());
        assert_eq!(only(dir.path()), ("link".to_owned(), Part::Target));
        let marked = |name: &str, value: &[u8]| {
            let dir = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).unwrap();
            let file = std::fs::File::create(dir.path().join("f")).unwrap();
            let flags = rustix::fs::XattrFlags::empty();
            rustix::fs::fsetxattr(&file, name, value, flags).unwrap();
            dir
        };
        assert_eq!(only(marked("user.x", VALUE).path()), ("f".to_owned(), Part::Attribute));
        let named = marked(&format!("user.{text}"), b"x");
        assert_eq!(only(named.path()), ("f".to_owned(), Part::Attribute));
        let dir = make(&|dir| {
            let name = OsStr::from_bytes(b"\xff\xfe");
            std::fs::write(dir.join(name), VALUE).unwrap();
            std::fs::hard_link(dir.join(name), dir.join("other")).unwrap();
        });
        assert_eq!(only(dir.path()).1, Part::Content);
    }

    #[test]
    fn what_cannot_be_searched_is_no_clean_layer() {
        let dir = tempfile::tempdir().unwrap();
        let mut deep = dir.path().to_owned();
        for _ in 0..300 {
            deep.push("d");
        }
        std::fs::create_dir_all(&deep).unwrap();
        assert!(matches!(found(dir.path()), Err(SearchError::TooDeep(_))));
        let (deadline, given_up) = (Instant::now(), AtomicBool::new(true));
        let bounds = Bounds { deadline, given_up: &given_up };
        let denied = |_: &[u8]| Err(io::ErrorKind::PermissionDenied.into());
        let ended = search(dir.path(), &One(VALUE), &denied, &bounds);
        assert!(matches!(ended, Err(SearchError::GivenUp)), "{ended:?}");
    }
}
