//! Which objects a node may touch, and whether it may touch any.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use mesh_schemas::{
    AttemptKey, ErrorCode, JobId, NodeId, Problem, UploadId,
    message::{OBJECTS_MAX, ObjectPut},
    text::shown,
};

use crate::{
    engine,
    keys::{self, NAME_BYTES_MAX},
    store::Store,
};

/// Largest object of a node.
const OBJECT_BYTES_MAX: u64 = 64 << 20;
/// Jobs whose input is remembered; all are forgotten when there are more.
const INPUTS_KEPT_MAX: usize = 1_024;

/// Answers what a node may do.
#[derive(Debug, Clone)]
pub(super) struct Access {
    engine: engine::Handle,
    store: Arc<dyn Store>,
    inputs: Arc<Mutex<HashMap<JobId, Option<UploadId>>>>,
}

impl Access {
    pub(super) fn new(engine: engine::Handle, store: Arc<dyn Store>) -> Self {
        Self { engine, store, inputs: Arc::default() }
    }

    /// The fence: only who holds the attempt's lease may ask for its sake.
    pub(super) async fn check_holds(
        &self,
        node: NodeId,
        attempt: AttemptKey,
    ) -> Result<(), Problem> {
        if self.engine.holds(node, attempt).await? {
            return Ok(());
        }
        Err(Problem::new(ErrorCode::Fenced, format!("{node} does not hold {attempt}")))
    }

    /// Keys of the job's input, and of attempts of the same job (for the checkpoint), may be read.
    pub(super) async fn check_readable(&self, job: JobId, keys: &[String]) -> Result<(), Problem> {
        check_count(keys.len())?;
        let foreign: Vec<&String> = keys.iter().filter(|key| !is_of_job(job, key)).collect();
        if foreign.is_empty() {
            return Ok(());
        }
        let input = self.input(job).await?;
        match foreign.into_iter().find(|key| input.is_none() || keys::upload_of(key) != input) {
            None => Ok(()),
            Some(key) => Err(Problem::new(
                ErrorCode::Forbidden,
                format!("{} is neither input nor output of {job}", shown(key)),
            )),
        }
    }

    async fn input(&self, job: JobId) -> Result<Option<UploadId>, Problem> {
        let known = self.inputs.lock().unwrap_or_else(PoisonError::into_inner).get(&job).copied();
        if let Some(input) = known {
            return Ok(input);
        }
        let record = self.store.job(job).await.map_err(|_| {
            Problem::new(ErrorCode::StoreDown, "the database is out of reach; try again soon")
        })?;
        let spec = record.map(|record| record.spec);
        let input = spec.and_then(|spec| keys::upload_of(&spec.input.as_ref()?.key));
        let mut inputs = self.inputs.lock().unwrap_or_else(PoisonError::into_inner);
        if inputs.len() >= INPUTS_KEPT_MAX {
            inputs.clear();
        }
        inputs.insert(job, input);
        Ok(input)
    }
}

/// True for an object of any attempt at the job.
fn is_of_job(job: JobId, key: &str) -> bool {
    keys::attempt_of(key).is_some_and(|attempt| attempt.job == job)
}

/// Proves names and lengths of objects to be uploaded.
pub(super) fn check_puts(objects: &[ObjectPut]) -> Result<(), Problem> {
    check_count(objects.len())?;
    objects.iter().try_for_each(check_put)
}

fn check_put(object: &ObjectPut) -> Result<(), Problem> {
    let name = &object.name;
    if !keys::is_name(name) {
        return Err(Problem::invalid(
            "objects.name",
            format!(
                "the object name {} is not allowed; 1 to {NAME_BYTES_MAX} letters, digits, '-', '_' \
                 and '.' are, not beginning with '.'",
                shown(name)
            ),
        ));
    }
    if (1..=OBJECT_BYTES_MAX).contains(&object.size) {
        return Ok(());
    }
    Err(Problem::new(
        ErrorCode::TooLarge,
        format!("an object has {} bytes; allowed is 1 to {OBJECT_BYTES_MAX}", object.size),
    )
    .at("objects.size"))
}

pub(super) fn check_count(count: usize) -> Result<(), Problem> {
    if count <= OBJECTS_MAX {
        return Ok(());
    }
    let detail = format!("{count} objects at once are too many; at most {OBJECTS_MAX} are allowed");
    Err(Problem::new(ErrorCode::TooLarge, detail).at("objects"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(name: &str, size: u64) -> Result<(), Problem> {
        check_puts(&[ObjectPut { name: name.into(), size }])
    }

    #[test]
    fn a_key_that_leaves_its_job_is_not_of_it() {
        let job = mesh_fabric::ids::job_id();
        let upload = mesh_fabric::ids::upload_id();
        assert!(is_of_job(job, &format!("a/{job}/0/1/m1.json")));
        for bad in ["0/1/../m", "0/1/", "0/m", "", &format!("../../u/{upload}/m")] {
            assert!(!is_of_job(job, &format!("a/{job}/{bad}")), "{bad}");
        }
    }

    #[test]
    fn plain_names_of_bounded_objects_are_taken() {
        for name in ["p-000001", "manifest_2.json", "A", &"x".repeat(NAME_BYTES_MAX)] {
            assert!(put(name, 1).is_ok(), "{name}");
        }
        assert!(put("a", OBJECT_BYTES_MAX).is_ok());
    }

    #[test]
    fn names_that_could_leave_the_prefix_and_lengths_out_of_bounds_are_refused() {
        let long = "x".repeat(NAME_BYTES_MAX + 1);
        for name in ["", ".", "..", "../x", "a/b", "/a", "a b", "a\0", "ä", ".a", &long] {
            assert_eq!(put(name, 1).unwrap_err().code, ErrorCode::Invalid, "{name:?}");
        }
        for size in [0, OBJECT_BYTES_MAX + 1, u64::MAX] {
            assert_eq!(put("a", size).unwrap_err().code, ErrorCode::TooLarge, "{size}");
        }
        let many = vec![ObjectPut { name: "a".into(), size: 1 }; OBJECTS_MAX + 1];
        assert_eq!(check_puts(&many).unwrap_err().code, ErrorCode::TooLarge);
    }
}
