//! TLS: one provider (ring), and a small certificate authority of the cluster's own.

use std::{io, path::Path, sync::Once};

use mesh_schemas::{ErrorCode, Problem};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use rustls::pki_types::{CertificateDer, pem::PemObject as _};
use serde::{Deserialize, Serialize};

use crate::{error::chain, files, ids};

/// The authority's secret file (0600) and its public certificate, inside the directory given.
const CA_SECRET: &str = "ca.json";
const CA_PUBLIC: &str = "ca.pem";

/// Makes ring the process's TLS provider; every `main` calls it first, and calling it again is harmless.
pub fn install_provider() {
    static ONCE: Once = Once::new();
    // A provider that something else installed before is as good.
    ONCE.call_once(|| drop(rustls::crypto::ring::default_provider().install_default()));
}

/// A certificate with its key, both PEM.
#[derive(Clone)]
pub struct IssuedCert {
    /// The certificate, then the authority's.
    pub cert_pem: String,
    /// Its private key.
    pub key_pem: String,
}

impl std::fmt::Debug for IssuedCert {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("IssuedCert").field("cert_pem", &self.cert_pem).finish_non_exhaustive()
    }
}

/// The cluster's own certificate authority.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CertAuthority {
    name: String,
    cert_pem: String,
    key_pem: String,
}

impl std::fmt::Debug for CertAuthority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CertAuthority").field("name", &self.name).finish_non_exhaustive()
    }
}

impl CertAuthority {
    /// A new authority; the name appears in its certificate.
    ///
    /// # Errors
    /// `E_INTERNAL` when the library cannot make a key.
    pub fn generate(name: &str) -> Result<Self, Problem> {
        let key = KeyPair::generate().map_err(|error| cannot_make(&error))?;
        let cert = ca_params(name)
            .and_then(|params| params.self_signed(&key))
            .map_err(|error| cannot_make(&error))?;
        Ok(Self { name: name.to_owned(), cert_pem: cert.pem(), key_pem: key.serialize_pem() })
    }

    /// Reads what [`Self::save`] wrote.
    ///
    /// # Errors
    /// `E_IO` when it cannot be read, `E_CONFIG` when it is not one of ours.
    pub fn load(dir: &Path) -> Result<Self, Problem> {
        let path = dir.join(CA_SECRET);
        let bytes = std::fs::read(&path).map_err(|error| {
            Problem::new(ErrorCode::Io, format!("cannot read {}: {error}", path.display()))
        })?;
        serde_json::from_slice(&bytes).map_err(|error| {
            let path = path.display();
            Problem::new(
                ErrorCode::Config,
                format!("{path} is not a certificate authority: {error}"),
            )
        })
    }

    /// Writes `ca.json` (0600, holds the key) and `ca.pem` (public) into the directory.
    ///
    /// # Errors
    /// Whatever the system says.
    pub fn save(&self, dir: &Path) -> io::Result<()> {
        files::write_private(&dir.join(CA_SECRET), &serde_json::to_vec(self)?)?;
        files::write_durable(&dir.join(CA_PUBLIC), self.cert_pem.as_bytes())
    }

    /// The authority's certificate.
    pub fn ca_pem(&self) -> &str {
        &self.cert_pem
    }

    /// A server certificate for DNS names and IP addresses.
    ///
    /// # Errors
    /// `E_INVALID` when a host cannot stand in a certificate, `E_INTERNAL` when the library fails.
    pub fn issue(&self, hosts: &[String]) -> Result<IssuedCert, Problem> {
        let mut params = CertificateParams::new(hosts).map_err(|error| {
            Problem::invalid("hosts", format!("{hosts:?} cannot stand in a certificate: {error}"))
        })?;
        let common_name = hosts.first().map_or("deskmesh", String::as_str);
        params.distinguished_name.push(DnType::CommonName, common_name);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        let (cert, key) = self.sign(&params).map_err(|error| cannot_make(&error))?;
        let cert_pem = format!("{}{}", cert.pem(), self.cert_pem);
        Ok(IssuedCert { cert_pem, key_pem: key.serialize_pem() })
    }

    fn sign(
        &self,
        params: &CertificateParams,
    ) -> Result<(rcgen::Certificate, KeyPair), rcgen::Error> {
        let issuer = Issuer::new(ca_params(&self.name)?, KeyPair::from_pem(&self.key_pem)?);
        let key = KeyPair::generate()?;
        let cert = params.signed_by(&key, &issuer)?;
        Ok((cert, key))
    }

    /// SHA-256 of the authority's certificate, in hexadecimal: what people compare by eye.
    pub fn fingerprint(&self) -> String {
        fingerprint(&self.cert_pem).unwrap_or_default()
    }
}

/// SHA-256 of the first certificate in the PEM text, in hexadecimal; `None` when there is none.
pub fn fingerprint(pem: &str) -> Option<String> {
    let der = CertificateDer::from_pem_slice(pem.as_bytes()).ok()?;
    Some(data_encoding::HEXLOWER.encode(&ids::sha256(&der)))
}

fn ca_params(name: &str) -> Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    Ok(params)
}

fn cannot_make(error: &rcgen::Error) -> Problem {
    Problem::new(ErrorCode::Internal, format!("cannot make a certificate: {}", chain(error)))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rustls::{
        RootCertStore,
        client::{WebPkiServerVerifier, danger::ServerCertVerifier as _},
        pki_types::{ServerName, UnixTime},
    };

    use super::*;

    /// Whether a client that trusts the CA alone takes the certificate for this host.
    fn trusted(ca_pem: &str, issued: &IssuedCert, host: &str) -> bool {
        install_provider();
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(ca_pem.as_bytes()).unwrap()).unwrap();
        let verifier = WebPkiServerVerifier::builder(Arc::new(roots)).build().unwrap();
        let cert = CertificateDer::from_pem_slice(issued.cert_pem.as_bytes()).unwrap();
        let name = ServerName::try_from(host.to_owned()).unwrap();
        verifier.verify_server_cert(&cert, &[], &name, &[], UnixTime::now()).is_ok()
    }

    #[test]
    fn a_certificate_is_good_for_its_hosts_under_its_own_authority_alone() {
        let (ours, other) = (authority(), authority());
        let issued = ours.issue(&["mesh.example".into(), "127.0.0.1".into()]).unwrap();
        assert!(trusted(ours.ca_pem(), &issued, "mesh.example"));
        assert!(trusted(ours.ca_pem(), &issued, "127.0.0.1"));
        assert!(!trusted(ours.ca_pem(), &issued, "127.0.0.2"));
        assert!(!trusted(ours.ca_pem(), &issued, "other.example"));
        assert!(!trusted(other.ca_pem(), &issued, "mesh.example"));
    }

    #[test]
    fn an_authority_that_was_saved_goes_on_signing() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        let first = authority();
        first.save(dir.path()).unwrap();
        let secret = std::fs::metadata(dir.path().join(CA_SECRET)).unwrap();
        assert_eq!(secret.permissions().mode() & 0o777, 0o600);
        let public = std::fs::read_to_string(dir.path().join(CA_PUBLIC)).unwrap();
        let loaded = CertAuthority::load(dir.path()).unwrap();
        assert_eq!(loaded.fingerprint(), first.fingerprint());
        assert_eq!(fingerprint(&public).unwrap().len(), 64);
        assert!(trusted(&public, &loaded.issue(&["a.example".into()]).unwrap(), "a.example"));
    }

    #[test]
    fn bad_hosts_and_files_are_refused() {
        let refused = |host: &str| authority().issue(&[host.into()]).unwrap_err().code;
        assert_eq!(refused("häuser"), ErrorCode::Invalid);
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(CertAuthority::load(dir.path()).unwrap_err().code, ErrorCode::Io);
        std::fs::write(dir.path().join(CA_SECRET), "{}").unwrap();
        assert_eq!(CertAuthority::load(dir.path()).unwrap_err().code, ErrorCode::Config);
        assert_eq!(fingerprint("no"), None);
    }

    #[test]
    fn nothing_printed_holds_a_key() {
        let authority = authority();
        let issued = authority.issue(&["a.example".into()]).unwrap();
        let printed = format!("{authority:?} {issued:?}");
        assert!(!printed.contains("PRIVATE KEY"), "{printed}");
    }

    fn authority() -> CertAuthority {
        CertAuthority::generate("Deskmesh test CA").unwrap()
    }
}
