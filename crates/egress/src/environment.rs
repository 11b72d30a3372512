//! The variables by which programs find the proxy and the certificates to believe.

use std::collections::BTreeMap;
use std::path::Path;

use crate::trust::JAVA_PASSWORD;

/// What goes around the proxy: the sandbox's own loopback.
const NO_PROXY: &str = "localhost,127.0.0.1,::1";

/// The same for Java.
const NO_PROXY_JAVA: &str = "localhost|127.*|[::1]";

/// Variables with the proxy's address.
const PROXY: &[&str] = &[
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "http_proxy",
    "https_proxy",
    "all_proxy",
    "npm_config_proxy",
    "npm_config_https_proxy",
    "YARN_HTTP_PROXY",
    "YARN_HTTPS_PROXY",
    "CARGO_HTTP_PROXY",
    "PIP_PROXY",
];

/// Variables with what goes around it.
const AROUND: &[&str] = &["NO_PROXY", "no_proxy", "npm_config_noproxy"];

/// Variables with the file of certificates, for OpenSSL and Go, Node, Python, curl, git, Cargo,
/// the package managers that have one of their own, and the tools of clouds. Yarn has none that each
/// of its versions knows, and refuses to run where one is set that it does not know: Node's holds.
const CERTIFICATES: &[&str] = &[
    "SSL_CERT_FILE",
    "NODE_EXTRA_CA_CERTS",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "GIT_SSL_CAINFO",
    "CARGO_HTTP_CAINFO",
    "PIP_CERT",
    "npm_config_cafile",
    "BUNDLE_SSL_CA_CERT",
    "NIX_SSL_CERT_FILE",
    "HEX_CACERTS_PATH",
    "PERL_LWP_SSL_CA_FILE",
    "DENO_CERT",
    "AWS_CA_BUNDLE",
    "HTTPLIB2_CA_CERTS",
    "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH",
];

/// The variables for a sandbox whose door is on `port` of its loopback and whose certificates
/// ([`crate::Trust::bundle_pem`]) lie at `ca_path` inside, with
/// [`crate::Trust::java_store`] beside it under the extension `jks`.
///
/// `JAVA_TOOL_OPTIONS` may have other uses too: put its value behind what is there, with a space
/// between. Every Java program then says on standard error that it picked it up.
pub fn environment(port: u16, ca_path: &Path) -> BTreeMap<String, String> {
    let proxy = format!("http://127.0.0.1:{port}");
    let certificates = ca_path.to_string_lossy();
    let java_store = ca_path.with_extension("jks");
    let mut variables = BTreeMap::new();
    for (names, value) in
        [(PROXY, proxy.as_str()), (AROUND, NO_PROXY), (CERTIFICATES, &certificates)]
    {
        for name in names {
            variables.insert((*name).to_owned(), value.to_owned());
        }
    }
    // From Node 22.21 and 24 on its own clients look at the variables only when told to.
    variables.insert("NODE_USE_ENV_PROXY".to_owned(), "1".to_owned());
    let java = [
        "-Dhttp.proxyHost=127.0.0.1".to_owned(),
        format!("-Dhttp.proxyPort={port}"),
        "-Dhttps.proxyHost=127.0.0.1".to_owned(),
        format!("-Dhttps.proxyPort={port}"),
        format!("-Dhttp.nonProxyHosts={NO_PROXY_JAVA}"),
        format!("-Djavax.net.ssl.trustStore={}", java_store.to_string_lossy()),
        "-Djavax.net.ssl.trustStoreType=JKS".to_owned(),
        format!("-Djavax.net.ssl.trustStorePassword={JAVA_PASSWORD}"),
    ];
    variables.insert("JAVA_TOOL_OPTIONS".to_owned(), java.join(" "));
    variables
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::environment;

    #[test]
    fn every_program_is_told_where_the_proxy_is_and_whom_to_believe() {
        let variables = environment(3128, Path::new("/run/quire/ca.pem"));
        for name in ["HTTP_PROXY", "https_proxy", "ALL_PROXY", "npm_config_https_proxy"] {
            assert_eq!(variables[name], "http://127.0.0.1:3128", "{name}");
        }
        assert_eq!(variables["NO_PROXY"], "localhost,127.0.0.1,::1");
        assert_eq!(variables["GIT_SSL_CAINFO"], "/run/quire/ca.pem");
        let java = &variables["JAVA_TOOL_OPTIONS"];
        assert!(java.contains("-Dhttps.proxyPort=3128"));
        assert!(java.contains("trustStore=/run/quire/ca.jks"));
    }
}
