//! What a sandbox asked for and was not given: the footer of an answer.

/// Hosts remembered; what a sandbox invents beyond is counted under the last.
const MOST_HOSTS: usize = 100;

/// A host that was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denied {
    /// Host and port.
    pub host: String,
    /// Why: the word of [`quire_domain::event::Egress::reason`].
    pub reason: String,
    /// How often.
    pub times: u64,
    /// The line that would allow it in the environment's network rules, if any could.
    pub line: Option<String>,
}

/// Refusals by host, reason and line, in the order of their first.
#[derive(Debug, Default)]
pub(crate) struct DeniedHosts {
    hosts: Vec<Denied>,
}

impl DeniedHosts {
    /// Counts one refusal.
    pub(crate) fn count(&mut self, host: &str, reason: &str, line: Option<&str>) {
        let like = |denied: &&mut Denied| {
            denied.host == host && denied.reason == reason && denied.line.as_deref() == line
        };
        if let Some(known) = self.hosts.iter_mut().find(like) {
            known.times += 1;
        } else if self.hosts.len() < MOST_HOSTS {
            self.hosts.push(Denied {
                host: host.to_owned(),
                reason: reason.to_owned(),
                times: 1,
                line: line.map(str::to_owned),
            });
        } else if let Some(last) = self.hosts.last_mut() {
            if last.host != OTHERS {
                OTHERS.clone_into(&mut last.host);
                "many".clone_into(&mut last.reason);
                last.line = None;
            }
            last.times += 1;
        }
    }

    /// All of them.
    pub(crate) fn all(&self) -> Vec<Denied> {
        self.hosts.clone()
    }
}

/// In place of a host, where there were too many.
const OTHERS: &str = "(others)";

#[cfg(test)]
mod tests {
    use super::{DeniedHosts, MOST_HOSTS};

    #[test]
    fn refusals_are_counted_by_host_and_bounded() {
        let mut denied = DeniedHosts::default();
        for index in 0..MOST_HOSTS + 50 {
            denied.count(&format!("h{index}.example:443"), "no_rule", None);
            denied.count("h0.example:443", "no_rule", None);
        }
        let all = denied.all();
        assert_eq!(all.len(), MOST_HOSTS);
        assert_eq!(all[0].times, 1 + MOST_HOSTS as u64 + 50);
        assert_eq!(
            (all[MOST_HOSTS - 1].host.as_str(), all[MOST_HOSTS - 1].times),
            ("(others)", 51)
        );
    }
}
