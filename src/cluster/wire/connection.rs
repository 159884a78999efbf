//! One connection to one broker: framing, correlation, version negotiation, SASL PLAIN. One request at a time.
use std::{collections::HashMap, time::Duration};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use kafka_protocol::{
    messages::{
        ApiVersionsRequest, ApiVersionsResponse, RequestHeader, ResponseHeader, SaslAuthenticateRequest,
        SaslHandshakeRequest,
    },
    protocol::{Decodable, Encodable, HeaderVersion, Request, StrBytes},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use super::{
    WireConfig,
    errors::{LOST, NOT_SENT, TIMED_OUT, fatal, malformed, retry},
};
use crate::cluster::Result;

/// Larger answers are taken for a broken stream, or something that is not Kafka.
const MAX_FRAME_BYTES: usize = 64 << 20;
const UNSUPPORTED_VERSION: i16 = 35;

/// What a broker said it can do.
#[derive(Clone, Debug, Default)]
pub(super) struct Abilities {
    versions: HashMap<i16, (i16, i16)>,
    /// None: the broker does not know yet.
    finalized_features: Option<HashMap<String, i16>>,
}

impl Abilities {
    fn of(response: ApiVersionsResponse) -> Self {
        let versions = response
            .api_keys
            .iter()
            .map(|api| (api.api_key, (api.min_version, api.max_version)))
            .collect();
        let features = response
            .finalized_features
            .iter()
            .map(|f| (f.name.to_string(), f.max_version_level))
            .collect();
        Self {
            versions,
            finalized_features: (response.finalized_features_epoch >= 0).then_some(features),
        }
    }

    /// Highest version both sides speak.
    pub(super) fn version(&self, key: i16, ours: (i16, i16)) -> Option<i16> {
        let theirs = self.versions.get(&key)?;
        let version = ours.1.min(theirs.1);
        (version >= ours.0 && version >= theirs.0).then_some(version)
    }

    /// Whether the feature is finalized at this level; brokers that cannot tell are given the benefit of the doubt.
    pub(super) fn has_feature(&self, name: &str, level: i16) -> bool {
        self.finalized_features
            .as_ref()
            .is_none_or(|features| features.get(name).is_some_and(|&l| l >= level))
    }
}

/// How a request is framed.
#[derive(Clone, Copy)]
pub(super) struct Frame {
    pub(super) key: i16,
    pub(super) version: i16,
    pub(super) request_header: i16,
    pub(super) response_header: i16,
}

/// A connection that is ready for requests. After any error but a broker's error code it is to be dropped: what comes
/// next on it would be the answer to something else.
pub(super) struct Connection {
    stream: TcpStream,
    address: String,
    client_id: StrBytes,
    correlation: i32,
    request_timeout: Duration,
    pub(super) abilities: Abilities,
}

impl Connection {
    /// Connects, negotiates versions, authenticates.
    pub(super) async fn open(config: &WireConfig, client_id: &str, host: &str, port: u16) -> Result<Self> {
        let address = format!("{host}:{port}");
        let unreachable = |why: String| retry(NOT_SENT, format!("no connection to the broker at {address}: {why}"));
        let stream = match timeout(config.connect_timeout, TcpStream::connect((host, port))).await {
            Err(_) => return Err(unreachable(format!("no answer within {:?}", config.connect_timeout))),
            Ok(Err(error)) => return Err(unreachable(error.to_string())),
            Ok(Ok(stream)) => stream,
        };
        stream
            .set_nodelay(true)
            .map_err(|error| unreachable(error.to_string()))?;
        let mut connection = Self {
            stream,
            address: address.clone(),
            client_id: StrBytes::from_string(client_id.to_string()),
            correlation: 0,
            request_timeout: config.request_timeout,
            abilities: Abilities::default(),
        };
        // Whatever breaks before the caller's own request is on its way leaves that request unsent.
        let prepared = connection.prepare(config).await;
        prepared.map_err(|mut error| {
            if matches!(error.code, LOST | TIMED_OUT) {
                error.code = NOT_SENT;
            }
            error
        })?;
        Ok(connection)
    }

    async fn prepare(&mut self, config: &WireConfig) -> Result<()> {
        self.negotiate().await?;
        if let Some(credentials) = &config.sasl_plain {
            self.authenticate(&credentials.0, &credentials.1).await?;
        }
        Ok(())
    }

    async fn negotiate(&mut self) -> Result<()> {
        let request = ApiVersionsRequest::default()
            .with_client_software_name(StrBytes::from_static_str("millstream"))
            .with_client_software_version(StrBytes::from_static_str(env!("CARGO_PKG_VERSION")));
        let mut answer = self
            .exchange(frame::<ApiVersionsRequest>(3), |body| encode(&request, body, 3))
            .await?;
        // A broker that does not know our version answers in the oldest format, which begins with the code.
        let too_new = answer.len() >= 2 && (&answer[..2]).get_i16() == UNSUPPORTED_VERSION;
        let response = if too_new {
            let request = ApiVersionsRequest::default();
            let mut answer = self
                .exchange(frame::<ApiVersionsRequest>(0), |body| encode(&request, body, 0))
                .await?;
            ApiVersionsResponse::decode(&mut answer, 0)
        } else {
            ApiVersionsResponse::decode(&mut answer, 3)
        };
        let response = response.map_err(|_| malformed("ApiVersions"))?;
        if response.error_code != 0 {
            return Err(fatal(
                i32::from(response.error_code),
                format!("{} refused to tell its versions", self.address),
            ));
        }
        self.abilities = Abilities::of(response);
        Ok(())
    }

    async fn authenticate(&mut self, user: &str, password: &str) -> Result<()> {
        let handshake = SaslHandshakeRequest::default().with_mechanism(StrBytes::from_static_str("PLAIN"));
        let answer = self.request(&handshake, (1, 1)).await?;
        if answer.error_code != 0 {
            let message = format!(
                "{} does not accept SASL PLAIN; it offers {:?}",
                self.address, answer.mechanisms
            );
            return Err(fatal(i32::from(answer.error_code), message));
        }
        let token = Bytes::from(format!("\0{user}\0{password}"));
        let answer = self
            .request(&SaslAuthenticateRequest::default().with_auth_bytes(token), (0, 2))
            .await?;
        match answer.error_code {
            0 => Ok(()),
            code => Err(fatal(
                i32::from(code),
                format!("{} refused the user name or password (SASL)", self.address),
            )),
        }
    }

    /// A request of the `kafka-protocol` crate in the highest version of `ours` that the broker speaks.
    pub(super) async fn request<R: Request>(&mut self, request: &R, ours: (i16, i16)) -> Result<R::Response> {
        let version = self.abilities.version(R::KEY, ours).ok_or_else(|| {
            let message = format!(
                "the broker at {} is too old or too new: no common version of API {}",
                self.address,
                R::KEY
            );
            fatal(i32::from(UNSUPPORTED_VERSION), message)
        })?;
        debug_assert!(R::VERSIONS.min <= version && version <= R::VERSIONS.max);
        let mut answer = self
            .exchange(frame::<R>(version), |body| encode(request, body, version))
            .await?;
        R::Response::decode(&mut answer, version).map_err(|_| malformed(&format!("API {}", R::KEY)))
    }

    /// Sends one request and waits for its answer: the bytes after the header.
    pub(super) async fn exchange(
        &mut self,
        frame: Frame,
        body: impl FnOnce(&mut BytesMut) -> Result<()>,
    ) -> Result<Bytes> {
        self.correlation = self.correlation.wrapping_add(1);
        let out = framed(frame, self.correlation, &self.client_id, body)?;
        let answer = match timeout(self.request_timeout, self.round_trip(&out)).await {
            Ok(answer) => answer.map_err(|error| retry(LOST, format!("connection to {} lost: {error}", self.address))),
            Err(_) => Err(retry(
                TIMED_OUT,
                format!("{} did not answer within {:?}", self.address, self.request_timeout),
            )),
        };
        let mut answer = answer?;
        let header = ResponseHeader::decode(&mut answer, frame.response_header).map_err(|_| malformed("header"))?;
        if header.correlation_id != self.correlation {
            return Err(malformed("correlation id"));
        }
        Ok(answer)
    }

    async fn round_trip(&mut self, out: &[u8]) -> std::io::Result<Bytes> {
        self.stream.write_all(out).await?;
        let length = self.stream.read_i32().await?;
        let length = usize::try_from(length).ok().filter(|&length| length <= MAX_FRAME_BYTES);
        let length = length.ok_or_else(|| std::io::Error::other("an answer of impossible length: is this Kafka?"))?;
        let mut answer = vec![0; length];
        self.stream.read_exact(&mut answer).await?;
        Ok(answer.into())
    }
}

/// A request with its length and header.
pub(super) fn framed(
    frame: Frame,
    correlation: i32,
    client_id: &StrBytes,
    body: impl FnOnce(&mut BytesMut) -> Result<()>,
) -> Result<BytesMut> {
    let mut out = BytesMut::with_capacity(512);
    out.put_i32(0);
    let header = RequestHeader::default()
        .with_request_api_key(frame.key)
        .with_request_api_version(frame.version)
        .with_correlation_id(correlation)
        .with_client_id(Some(client_id.clone()));
    encode(&header, &mut out, frame.request_header)?;
    body(&mut out)?;
    let length = i32::try_from(out.len() - 4).map_err(|_| fatal(10, "a request is too large".into()))?;
    out[..4].copy_from_slice(&length.to_be_bytes());
    Ok(out)
}

fn frame<R: Request>(version: i16) -> Frame {
    Frame {
        key: R::KEY,
        version,
        request_header: R::header_version(version),
        response_header: <R::Response as HeaderVersion>::header_version(version),
    }
}

fn encode<T: Encodable>(value: &T, out: &mut BytesMut, version: i16) -> Result<()> {
    value
        .encode(out, version)
        .map_err(|error| fatal(0, format!("a request could not be encoded: {error}")))
}
