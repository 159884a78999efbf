//! How to reach the brokers: addresses and security, from the same properties librdkafka gets.
use std::{sync::Arc, time::Duration};

use super::errors::fatal;
use crate::cluster::Result;

/// Addresses, credentials and time-outs.
#[derive(Clone)]
pub struct WireConfig {
    pub(super) bootstrap: Vec<(String, u16)>,
    pub(super) sasl_plain: Option<Arc<(String, String)>>,
    pub(super) connect_timeout: Duration,
    pub(super) request_timeout: Duration,
}

/// Never shows credentials.
impl std::fmt::Debug for WireConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WireConfig")
            .field("bootstrap", &self.bootstrap)
            .field("sasl_plain", &self.sasl_plain.is_some())
            .finish_non_exhaustive()
    }
}

impl WireConfig {
    /// Reads `security.protocol`, `sasl.mechanism`, `sasl.username`, `sasl.password` and
    /// `socket.connection.setup.timeout.ms`; other properties are librdkafka's.
    ///
    /// # Errors
    /// `Fatal` for an address without a port and for security these connections do not speak (TLS, SASL other than PLAIN).
    pub fn from_properties(bootstrap: &str, properties: &[(String, String)]) -> Result<Self> {
        let get = |name: &str| {
            properties
                .iter()
                .rev()
                .find(|(n, _)| n == name)
                .map(|(_, value)| value.as_str())
        };
        let addresses = bootstrap.split(',').map(str::trim).filter(|a| !a.is_empty());
        let bootstrap: Vec<_> = addresses.map(address).collect::<Result<_>>()?;
        if bootstrap.is_empty() {
            return Err(fatal(
                0,
                "no bootstrap server given; expected host:port, comma-separated".into(),
            ));
        }
        let protocol = get("security.protocol").unwrap_or("plaintext").to_ascii_uppercase();
        let sasl_plain = match protocol.as_str() {
            "PLAINTEXT" => None,
            "SASL_PLAINTEXT" => Some(Arc::new(credentials(&get)?)),
            other => return Err(unsupported("security.protocol", other)),
        };
        let connect_ms = get("socket.connection.setup.timeout.ms")
            .and_then(|ms| ms.parse().ok())
            .unwrap_or(5_000);
        Ok(Self {
            bootstrap,
            sasl_plain,
            connect_timeout: Duration::from_millis(connect_ms),
            request_timeout: Duration::from_secs(10),
        })
    }
}

fn credentials<'a>(get: &impl Fn(&str) -> Option<&'a str>) -> Result<(String, String)> {
    let mechanism = get("sasl.mechanism")
        .or_else(|| get("sasl.mechanisms"))
        .unwrap_or("GSSAPI");
    if !mechanism.eq_ignore_ascii_case("PLAIN") {
        return Err(unsupported("sasl.mechanism", mechanism));
    }
    match (get("sasl.username"), get("sasl.password")) {
        (Some(user), Some(password)) => Ok((user.into(), password.into())),
        _ => Err(fatal(
            0,
            "SASL PLAIN needs the properties sasl.username and sasl.password".into(),
        )),
    }
}

fn unsupported(property: &str, value: &str) -> crate::cluster::ClusterError {
    let message = format!(
        "{property}={value} is not supported by the connections that manage groups and topics; \
         supported: security.protocol PLAINTEXT, or SASL_PLAINTEXT with sasl.mechanism PLAIN"
    );
    fatal(0, message)
}

fn address(text: &str) -> Result<(String, u16)> {
    let bad = || fatal(0, format!("bootstrap server {text:?} is not of the form host:port"));
    let text_without_protocol = text.rsplit("://").next().unwrap_or(text);
    let (host, port) = text_without_protocol.rsplit_once(':').ok_or_else(bad)?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    match port.parse() {
        Ok(port) if !host.is_empty() => Ok((host.into(), port)),
        _ => Err(bad()),
    }
}

#[cfg(test)]
mod tests {
    use super::WireConfig;

    fn config(bootstrap: &str, properties: &[(&str, &str)]) -> Result<WireConfig, String> {
        let properties: Vec<_> = properties
            .iter()
            .map(|&(n, v)| (n.to_string(), v.to_string()))
            .collect();
        WireConfig::from_properties(bootstrap, &properties).map_err(|error| error.message)
    }

    #[test]
    fn addresses_are_host_and_port() {
        let parsed = config("a:1, [::1]:9092,PLAINTEXT://b:2", &[]).expect("legal");
        assert_eq!(
            parsed.bootstrap,
            [("a".into(), 1), ("::1".into(), 9092), ("b".into(), 2)]
        );
        for bad in ["", "a", "a:", ":1", "a:x", "a:70000"] {
            assert!(config(bad, &[]).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn security_that_is_not_spoken_is_refused_with_what_is() {
        for properties in [
            &[("security.protocol", "SSL")][..],
            &[
                ("security.protocol", "sasl_plaintext"),
                ("sasl.mechanism", "SCRAM-SHA-256"),
            ],
            &[("security.protocol", "SASL_SSL")],
        ] {
            let message = config("a:1", properties).expect_err("unsupported");
            assert!(message.contains("supported: security.protocol PLAINTEXT"), "{message}");
        }
    }

    #[test]
    fn credentials_are_never_shown() {
        let sasl = [
            ("security.protocol", "SASL_PLAINTEXT"),
            ("sasl.mechanisms", "PLAIN"),
            ("sasl.username", "me"),
            ("sasl.password", "hunter2"),
        ];
        let parsed = config("a:1", &sasl).expect("legal");
        assert!(parsed.sasl_plain.is_some());
        assert!(!format!("{parsed:?}").contains("hunter2"));
        assert!(config("a:1", &sasl[..3]).is_err());
    }
}
