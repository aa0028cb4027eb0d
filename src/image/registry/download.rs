//! A blob from a registry through a pipe: it is hashed and unpacked while it arrives. Where the
//! connection breaks, the rest is asked for, and the reader of the pipe does not notice.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use futures_util::StreamExt as _;
use oci_client::Reference;
use oci_client::client::{BlobResponse, Client};
use oci_client::errors::OciDistributionError;
use oci_client::manifest::OciDescriptor;
use rustix::pipe::{PipeFlags, pipe_with};
use tokio::io::AsyncWriteExt as _;
use tokio::net::unix::pipe;

use super::super::digest::Digest;
use super::super::source::Incoming;
use super::session::Session;
use super::{ATTEMPTS, Registry, errors};
use crate::error::{Context, Error, Result};

pub(super) fn start(registry: &Registry, digest: &Digest, size: u64) -> Result<Incoming> {
    let what = || format!("cannot download blob {digest}");
    let (read, write) = pipe_with(PipeFlags::CLOEXEC).what(what)?;
    // The writer waits in the runtime; the reader is a worker that may block.
    rustix::io::ioctl_fionbio(&write, true).what(what)?;
    let (session, reference) = (Arc::clone(&registry.session), registry.reference(None));
    let digest = digest.clone();
    let (send, outcome) = std::sync::mpsc::channel();
    registry.runtime.spawn(async move {
        let done = download(&session, &reference, &digest, size, write).await;
        let _ = send.send(done.map_err(|e| match e {
            Failed::Registry(e) => session.explain(&e),
            Failed::Other(e) => e,
        }));
    });
    Ok(Incoming { file: read.into(), outcome })
}

enum Failed {
    Registry(OciDistributionError),
    Other(Error),
}

async fn download(
    session: &Session,
    reference: &Reference,
    digest: &Digest,
    size: u64,
    write: OwnedFd,
) -> Result<(), Failed> {
    let what = || format!("cannot download blob {digest} of {}", session.remote);
    let mut out = pipe::Sender::from_owned_fd(write).what(what).map_err(Failed::Other)?;
    let descriptor = OciDescriptor { digest: digest.to_string(), ..OciDescriptor::default() };
    let (mut have, mut attempt, mut renewed) = (0, 1, false);
    loop {
        let client = session.client().await.map_err(Failed::Other)?;
        let failed = match part(client, reference, &descriptor, size, &mut have, &mut out).await {
            Ok(()) if have == size => return Ok(()),
            Ok(()) => OciDistributionError::IoError(std::io::ErrorKind::UnexpectedEof.into()),
            Err(Stop::Reader) => return Ok(()),
            Err(Stop::TooLong) => {
                let why = format!("it is longer than the {size} bytes of its descriptor");
                let fix = format!("tell who runs {}", session.remote.name.domain);
                return Err(Failed::Other(Error::new(what(), why).fix(fix)));
            }
            Err(Stop::Failed(e)) => e,
        };
        if !renewed && errors::is_unauthorised(&failed) && session.expire() {
            renewed = true;
            continue;
        }
        if attempt == ATTEMPTS || !errors::may_pass(&failed) {
            return Err(Failed::Registry(failed));
        }
        tokio::time::sleep(errors::pause(attempt)).await;
        attempt += 1;
    }
}

enum Stop {
    /// Nobody reads any more: whoever did has the reason.
    Reader,
    TooLong,
    Failed(OciDistributionError),
}

/// One connection's worth, from byte `have` on.
async fn part(
    client: &Client,
    reference: &Reference,
    descriptor: &OciDescriptor,
    size: u64,
    have: &mut u64,
    out: &mut pipe::Sender,
) -> Result<(), Stop> {
    // The digest is verified where the bytes are read.
    let response = client.pull_blob_stream_partial(reference, descriptor, *have, None).await;
    let (mut stream, mut skip) = match response.map_err(Stop::Failed)? {
        BlobResponse::Partial(stream) => (stream, 0),
        // All of it again, from a registry that knows no ranges.
        BlobResponse::Full(stream) => (stream, *have),
    };
    while let Some(chunk) = stream.next().await {
        let chunk = chunk.map_err(|e| Stop::Failed(OciDistributionError::IoError(e)))?;
        let known = usize::try_from(skip).unwrap_or(usize::MAX).min(chunk.len());
        skip -= known as u64;
        let new = &chunk[known..];
        if *have + new.len() as u64 > size {
            return Err(Stop::TooLong);
        }
        out.write_all(new).await.map_err(|_| Stop::Reader)?;
        *have += new.len() as u64;
    }
    Ok(())
}
