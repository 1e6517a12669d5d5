//! TLS of connections that the server opens: the machine's roots or a certificate of the
//! configuration, client certificates, and the switch that believes every server.

use crate::auth::read_source;
use crate::{Error, Reason, TlsConfig};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// What the files of a configuration hold.
#[derive(Clone, Default, PartialEq, Eq)]
struct Material {
    ca: Option<String>,
    cert: Option<String>,
    key: Option<String>,
}

/// One configuration. Its files are read for each connection, so that replaced certificates count; what
/// is made of them is made again only when they have changed.
pub(crate) struct Tls {
    config: TlsConfig,
    speaks_http2: bool,
    current: Mutex<Option<(Material, Arc<ClientConfig>)>>,
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tls").field("config", &self.config).finish_non_exhaustive()
    }
}

impl Tls {
    pub(crate) fn new(config: &TlsConfig, speaks_http2: bool) -> Self {
        Self { config: config.clone(), speaks_http2, current: Mutex::new(None) }
    }

    /// The name that the server's certificate must have.
    pub(crate) fn server_name(&self, host: &str) -> Result<ServerName<'static>, Error> {
        let name = if self.config.server_name.is_empty() { host } else { &self.config.server_name };
        ServerName::try_from(name.to_owned()).map_err(|_| {
            Error::new(
                Reason::Configuration,
                format!("`{name}` can't be the name in a certificate"),
            )
        })
    }

    pub(crate) async fn client_config(&self) -> Result<Arc<ClientConfig>, Error> {
        let material = self.material().await?;
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((known, config)) = &*current
            && *known == material
        {
            return Ok(Arc::clone(config));
        }
        let config = Arc::new(build(&self.config, &material, self.speaks_http2)?);
        *current = Some((material, Arc::clone(&config)));
        Ok(config)
    }

    async fn material(&self) -> Result<Material, Error> {
        let mut material = Material::default();
        let parts = [
            (&self.config.ca, &mut material.ca),
            (&self.config.cert, &mut material.cert),
            (&self.config.key, &mut material.key),
        ];
        for (source, text) in parts {
            if let Some(source) = source {
                *text = Some(read_source(source).await?.reveal().to_owned());
            }
        }
        Ok(material)
    }
}

fn wrong(what: &str, error: impl std::fmt::Display) -> Error {
    Error::new(Reason::Tls, format!("tls_config: {what}: {error}"))
}

fn build(
    config: &TlsConfig,
    material: &Material,
    speaks_http2: bool,
) -> Result<ClientConfig, Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let versions: Vec<_> = [(12, &TLS12), (13, &TLS13)]
        .into_iter()
        .filter(|(number, _)| *number >= config.min_version)
        .filter(|(number, _)| config.max_version == 0 || *number <= config.max_version)
        .map(|(_, version)| version)
        .collect();
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&versions)
        .map_err(|error| wrong("versions", error))?;
    let builder = if config.insecure_skip_verify {
        let verifier = Arc::new(BelievesAll(provider));
        builder.dangerous().with_custom_certificate_verifier(verifier)
    } else {
        builder.with_root_certificates(roots(material)?)
    };
    let mut built = match (&material.cert, &material.key) {
        (Some(cert), Some(key)) => {
            let chain = certificates(cert).map_err(|error| wrong("cert", error))?;
            let key = PrivateKeyDer::from_pem_slice(key.as_bytes())
                .map_err(|error| wrong("key", error))?;
            builder
                .with_client_auth_cert(chain, key)
                .map_err(|error| wrong("cert and key", error))?
        }
        _ => builder.with_no_client_auth(),
    };
    if speaks_http2 {
        built.alpn_protocols.push(b"h2".to_vec());
    }
    built.alpn_protocols.push(b"http/1.1".to_vec());
    Ok(built)
}

fn certificates(pem: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    let found = found.map_err(|error| error.to_string())?;
    if found.is_empty() { Err("no certificate in it".to_owned()) } else { Ok(found) }
}

fn roots(material: &Material) -> Result<Arc<RootCertStore>, Error> {
    let Some(ca) = &material.ca else { return Ok(machine_roots()) };
    let mut store = RootCertStore::empty();
    for certificate in certificates(ca).map_err(|error| wrong("ca", error))? {
        store.add(certificate).map_err(|error| wrong("ca", error))?;
    }
    Ok(Arc::new(store))
}

/// The certificates that the machine trusts, read once.
fn machine_roots() -> Arc<RootCertStore> {
    static ROOTS: OnceLock<Arc<RootCertStore>> = OnceLock::new();
    let read = || {
        let mut store = RootCertStore::empty();
        store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        Arc::new(store)
    };
    Arc::clone(ROOTS.get_or_init(read))
}

/// `insecure_skip_verify`: the operator wants encryption without knowing the other end.
#[derive(Debug)]
struct BelievesAll(Arc<CryptoProvider>);

impl ServerCertVerifier for BelievesAll {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, signature, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
