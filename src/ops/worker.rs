//! The worker: what the binary does when it has executed itself inside a user namespace.

use std::fs::File;

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::error::{Context as _, Error, Result};
use crate::image::{compare, diff, layer, pack, usage};
use crate::stage::fuse;
use crate::userns::worker::{self, Task};
use crate::volume::fill;

/// The value is the exit code; what went wrong has been reported to the parent.
pub(crate) fn main() -> u8 {
    worker::serve(|kind, job| match kind {
        layer::JOB => unpack(job),
        compare::JOB => compared(job),
        diff::JOB => changes(&parse(job)?),
        fill::JOB => {
            let fill = fill::prepare(parse(job)?)?;
            Ok(Task::Work(Box::new(move |_| fill().map(|()| Value::Null))))
        }
        pack::JOB => pack(&parse(job)?),
        usage::JOB => {
            let job = parse(job)?;
            Ok(Task::Work(Box::new(move |_| answer(usage::run(&job)?))))
        }
        fuse::JOB => Ok(Task::Become(fuse::program(parse(job)?))),
        _ => Err(Error::new("cannot work", format!("the job {kind:?} is not known"))),
    })
}

fn parse<T: DeserializeOwned>(job: Value) -> Result<T> {
    serde_json::from_value(job).map_err(|e| Error::new("cannot read a job", e.to_string()))
}

fn compared(job: Value) -> Result<Task> {
    let job = parse(job)?;
    Ok(Task::Work(Box::new(move |_| answer(compare::run(&job)?))))
}

fn unpack(job: Value) -> Result<Task> {
    let prepared = layer::prepare(parse(job)?, stdin()?)?;
    Ok(Task::Work(Box::new(move |progress| answer(prepared.run(progress)?))))
}

/// The file that the job reads or writes.
fn stdin() -> Result<File> {
    let file = rustix::stdio::stdin().try_clone_to_owned();
    Ok(File::from(file.what(|| "cannot use the file of a job")?))
}

fn answer(value: impl serde::Serialize) -> Result<Value> {
    serde_json::to_value(value).map_err(|e| Error::new("cannot report", e.to_string()))
}

fn changes(trees: &diff::Trees) -> Result<Task> {
    let opened = trees.open()?;
    Ok(Task::Work(Box::new(move |_| answer(opened.changes()?))))
}

fn pack(job: &pack::Job) -> Result<Task> {
    let (opened, layer, out) = (job.trees.open()?, job.layer, stdin()?);
    Ok(Task::Work(Box::new(move |_| answer(pack::pack(&opened, layer, out)?))))
}
