//! Blobs and manifests to a registry.

use std::fs::File;
use std::io::Read as _;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream;
use oci_client::Reference;
use oci_client::errors::OciDistributionError;

use super::super::digest::Digest;
use super::session::Session;
use super::{NOTHING_NEW, Registry, errors};
use crate::error::{Context, Error, Result};

/// How much of a blob is in memory at a time.
const CHUNK: usize = 1 << 20;
/// Between two reports of progress.
const TICK: Duration = Duration::from_millis(100);

impl Registry {
    /// A token, where the registry has those: what is not allowed is said before anything is sent.
    pub(crate) fn authorise(&self) -> Result<()> {
        self.runtime.block_on(self.session.client()).map(drop)
    }

    /// Sends a blob that the registry lacks; whether it was sent.
    pub(crate) fn push_blob(
        &self,
        open: impl Fn() -> Result<File>,
        digest: &Digest,
        size: u64,
        progress: &dyn Fn(u64),
    ) -> Result<bool> {
        let (reference, name) = (self.reference(None), digest.to_string());
        if self
            .with_retries(|client| self.runtime.block_on(client.blob_exists(&reference, &name)))?
        {
            progress(size);
            return Ok(false);
        }
        let (mut attempt, mut renewed, mut done) = (1, false, 0);
        loop {
            let client = self.runtime.block_on(self.session.client())?;
            let file = open()?;
            let (send, sent) = std::sync::mpsc::channel();
            let chunks = Chunks { file, sent: 0, send, session: Arc::clone(&self.session) };
            let chunks = stream::unfold(chunks, Chunks::next);
            let push = client.push_blob_stream(&reference, chunks, &name, Some(size));
            let mut push = std::pin::pin!(push);
            let pushed = loop {
                let some = async { tokio::time::timeout(TICK, push.as_mut()).await };
                if let Ok(pushed) = self.runtime.block_on(some) {
                    break pushed;
                }
                if let Some(now) = sent.try_iter().last() {
                    done = now;
                }
                progress(done);
            };
            match pushed {
                Ok(_) => return Ok(true),
                Err(e) if !renewed && errors::is_unauthorised(&e) && self.session.expire() => {
                    renewed = true;
                }
                Err(e) if attempt < super::ATTEMPTS && errors::may_pass(&e) => {
                    self.pause(attempt);
                    attempt += 1;
                }
                Err(e) => return Err(self.session.explain(&e)),
            }
        }
    }

    /// Puts the manifest under the image's name.
    pub(crate) fn push_manifest(&self, bytes: &[u8], media_type: &str) -> Result<()> {
        let what = || format!("cannot push {}", self.label());
        let kind = media_type
            .parse()
            .map_err(|_| Error::new(what(), format!("{media_type:?} is not a media type")))?;
        let kind: http::HeaderValue = kind;
        let reference: Reference = self.reference(None);
        self.with_retries(|client| {
            self.runtime.block_on(client.push_manifest_raw(
                &reference,
                bytes.to_vec(),
                kind.clone(),
            ))
        })
        .map(drop)
    }

    /// Whether the registry takes these credentials.
    pub(crate) fn check_login(&self) -> Result<()> {
        let client = self.runtime.block_on(self.session.client())?;
        let reference = self.reference(None);
        let tried =
            self.runtime.block_on(client.list_tags(&reference, &NOTHING_NEW, Some(1), None));
        match tried {
            Ok(_) => Ok(()),
            Err(e) if is_answer(&e) => Ok(()),
            Err(e) => Err(self.session.explain(&e)),
        }
    }
}

/// A repository that does not exist was looked for by somebody who may look.
fn is_answer(error: &OciDistributionError) -> bool {
    match error {
        OciDistributionError::ServerError { code: 404, .. }
        | OciDistributionError::ImageManifestNotFoundError(_) => true,
        OciDistributionError::RegistryError { envelope, .. } => envelope.errors.iter().any(|e| {
            use oci_client::errors::OciErrorCode::{ManifestUnknown, NameUnknown, NotFound};
            matches!(e.code, ManifestUnknown | NameUnknown | NotFound)
        }),
        _ => false,
    }
}

struct Chunks {
    file: File,
    sent: u64,
    send: std::sync::mpsc::Sender<u64>,
    session: Arc<Session>,
}

impl Chunks {
    async fn next(mut self) -> Option<(Result<bytes::Bytes, OciDistributionError>, Self)> {
        // A large blob takes longer than a token lasts. Without a new one the registry answers.
        let _ = self.session.client().await;
        let mut chunk = Vec::with_capacity(CHUNK);
        match (&mut self.file).take(CHUNK as u64).read_to_end(&mut chunk) {
            Ok(0) => None,
            Ok(n) => {
                self.sent += n as u64;
                let _ = self.send.send(self.sent);
                Some((Ok(chunk.into()), self))
            }
            Err(e) => Some((Err(OciDistributionError::IoError(e)), self)),
        }
    }
}

/// A blob of the store.
pub(crate) fn open(path: &std::path::Path) -> Result<File> {
    File::open(path).what(|| format!("cannot read {}", path.display()))
}
