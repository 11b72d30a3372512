//! Where a patch's paths start from.

use quire_domain::path::{BadPath, WorkspacePath};

/// Where a patch's paths start from. The default is the root of the repository, whose own
/// absolute place is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Place<'a> {
    /// The absolute path of the repository inside the sandbox; absolute paths below it are
    /// accepted. Empty: none are.
    pub root: &'a str,
    /// Where the command ran that held the patch: relative to `root`, or absolute. Empty: in
    /// the root.
    pub workdir: &'a str,
}

impl Place<'_> {
    /// The path of the working tree that `text` means, as a model wrote it.
    ///
    /// # Errors
    ///
    /// As [`WorkspacePath::parse`]; a path may go up from `workdir`, but not out of the root.
    pub fn resolve(&self, text: &str) -> Result<WorkspacePath, BadPath> {
        let below_root = self.below_root(text);
        if text.starts_with('/') {
            return WorkspacePath::parse(below_root.unwrap_or(text));
        }
        let workdir = if self.workdir.starts_with('/') {
            self.below_root(self.workdir).ok_or_else(|| BadPath::Leaves(text.to_owned()))?
        } else {
            self.workdir
        };
        if workdir.trim_matches(['/', '.']).is_empty() && !workdir.contains("..") {
            return WorkspacePath::parse(text);
        }
        if text.is_empty() {
            return Err(BadPath::Empty);
        }
        let mut parts: Vec<&str> = Vec::new();
        for part in workdir.split('/').chain(text.split('/')) {
            match part {
                "" | "." => {}
                ".." => {
                    parts.pop().ok_or_else(|| BadPath::Leaves(text.to_owned()))?;
                }
                part => parts.push(part),
            }
        }
        WorkspacePath::parse(&parts.join("/"))
    }

    /// What follows the root in an absolute path, without a leading slash.
    fn below_root<'t>(&self, text: &'t str) -> Option<&'t str> {
        let root = self.root.trim_end_matches('/');
        if root.is_empty() {
            return None;
        }
        let rest = text.strip_prefix(root)?;
        if rest.is_empty() { Some("") } else { rest.strip_prefix('/') }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_read_from_where_the_command_ran_and_stays_inside() {
        let place = Place { root: "/workspace/app", workdir: "web/src" };
        let resolve =
            |text: &str| place.resolve(text).map(|path| path.as_str().to_owned()).map_err(|_| ());
        assert_eq!(resolve("a.ts"), Ok("web/src/a.ts".to_owned()));
        assert_eq!(resolve("../package.json"), Ok("web/package.json".to_owned()));
        assert_eq!(resolve("/workspace/app/lib/x"), Ok("lib/x".to_owned()));
        assert_eq!(resolve("/workspace/apple/x"), Err(()));
        assert_eq!(resolve("../../../x"), Err(()));
        assert_eq!(resolve("../../.git/config"), Err(()));
        let there = Place { root: "/workspace/app", workdir: "/workspace/app/web" };
        assert_eq!(there.resolve("x").unwrap().as_str(), "web/x");
        let outside = Place { root: "/workspace/app", workdir: "/tmp" };
        assert!(outside.resolve("x").is_err());
        let up = Place { root: "", workdir: ".." };
        assert!(up.resolve("x").is_err());
    }

    #[test]
    fn at_the_root_a_path_is_what_it_says() {
        let place = Place::default();
        assert_eq!(place.resolve("./a/b").unwrap().as_str(), "a/b");
        assert!(place.resolve("/a").is_err());
        assert!(place.resolve("../a").is_err());
        let root = Place { root: "/w", workdir: "/w" };
        assert_eq!(root.resolve("x").unwrap().as_str(), "x");
    }
}
