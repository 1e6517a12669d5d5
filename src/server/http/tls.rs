//! Certificates from PEM files. They are read at start, and again when an operator has replaced them.

use crate::config::TlsSettings;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};
use tokio_rustls::TlsAcceptor;

#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("can't read {what} from {path}: {reason}")]
    Pem { what: &'static str, path: String, reason: String },
    #[error("certificate and key don't fit together")]
    Mismatch(#[source] rustls::Error),
}

/// How connections are encrypted with the server's certificate.
#[derive(Clone)]
pub(crate) struct Tls {
    /// For HTTP, of which client and server choose the version while they shake hands.
    pub(crate) http: TlsAcceptor,
    /// For the protocols' own listeners, where there is nothing to choose.
    pub(crate) plain: TlsAcceptor,
    pub(crate) certificate: Certificate,
}

/// The certificate of all listeners.
#[derive(Clone, Debug)]
pub(crate) struct Certificate {
    settings: TlsSettings,
    current: Arc<Current>,
}

/// What the next handshake uses.
#[derive(Debug)]
struct Current(RwLock<Arc<CertifiedKey>>);

impl ResolvesServerCert for Current {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner)))
    }
}

impl Certificate {
    fn read(settings: &TlsSettings) -> Result<Self, TlsError> {
        let current = Current(RwLock::new(Arc::new(certified_key(settings)?)));
        Ok(Self { settings: settings.clone(), current: Arc::new(current) })
    }

    /// Reads the files again. Connections that are open keep what they have; after an error
    /// everything stays as it is.
    pub(crate) fn reload(&self) -> Result<(), TlsError> {
        let key = Arc::new(certified_key(&self.settings)?);
        *self.current.0.write().unwrap_or_else(PoisonError::into_inner) = key;
        Ok(())
    }
}

/// `None` when no certificate is configured.
pub(crate) fn acceptors(settings: &TlsSettings) -> Result<Option<Tls>, TlsError> {
    if settings.cert_file.as_os_str().is_empty() {
        return Ok(None);
    }
    let certificate = Certificate::read(settings)?;
    let config = rustls::ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .expect("the provider knows TLS 1.2 and 1.3")
        .with_no_client_auth()
        .with_cert_resolver(Arc::clone(&certificate.current) as Arc<dyn ResolvesServerCert>);
    let mut http = config.clone();
    http.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let acceptor = |config| TlsAcceptor::from(Arc::new(config));
    Ok(Some(Tls { http: acceptor(http), plain: acceptor(config), certificate }))
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

fn certified_key(settings: &TlsSettings) -> Result<CertifiedKey, TlsError> {
    let pem = |what, path: &Path, reason: String| TlsError::Pem {
        what,
        path: path.display().to_string(),
        reason,
    };
    let chain = CertificateDer::pem_file_iter(&settings.cert_file)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| pem("a certificate", &settings.cert_file, error.to_string()))?;
    let key = PrivateKeyDer::from_pem_file(&settings.key_file)
        .map_err(|error| pem("a private key", &settings.key_file, error.to_string()))?;
    CertifiedKey::from_der(chain, key, &provider()).map_err(TlsError::Mismatch)
}
