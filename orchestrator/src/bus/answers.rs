//! What is answered to a node's ask.

use futures::{StreamExt as _, TryStreamExt as _, stream};
use mesh_core::Reply;
use mesh_schemas::{
    AttemptKey, ErrorCode, NodeId, Problem, Span,
    manifest::PackRef,
    message::{NodeAnswer, NodeAsk, NodeReport, ObjectPut, ObjectUrl, Welcome},
    subject,
    text::shown,
};

use super::{
    access::{Access, check_count, check_puts},
    decode::check_report,
};
use crate::{
    engine, keys,
    lead::Lease,
    nodes::Nodes,
    objects::{NODE_URL_TTL, Objects},
};

/// Objects of one ask that are looked at together.
const CHECKS_AT_ONCE: usize = 8;

/// Answers asks. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Answers {
    access: Access,
    engine: engine::Handle,
    lease: Lease,
    objects: Objects,
    nodes: Nodes,
    beat_every: Span,
    lease_ttl: Span,
}

impl Answers {
    pub(super) fn new(
        access: Access,
        engine: engine::Handle,
        lease: Lease,
        objects: Objects,
        nodes: Nodes,
        core: &mesh_core::Config,
    ) -> Self {
        let span = |wait: std::time::Duration| {
            Span::from_millis(u64::try_from(wait.as_millis()).unwrap_or(u64::MAX))
        };
        let (beat_every, lease_ttl) = (span(core.beat_every), span(core.lease_ttl));
        Self { access, engine, lease, objects, nodes, beat_every, lease_ttl }
    }

    /// False when another orchestrator may answer by now: who was frozen knows too little to contradict it.
    pub(super) fn may_be_given(&self) -> bool {
        self.lease.holds()
    }

    /// Answers one ask of the node whose subject it came on.
    pub(super) async fn answer(&self, node: NodeId, ask: NodeAsk) -> NodeAnswer {
        let answer = match ask {
            NodeAsk::Hello(report) => self.hello(node, report).await,
            NodeAsk::PutUrls { attempt, objects } => self.put_urls(node, attempt, objects).await,
            NodeAsk::GetUrls { attempt, keys } => self.get_urls(node, attempt, keys).await,
            NodeAsk::CheckObjects { attempt, objects } => {
                self.check_objects(node, attempt, objects).await
            }
            NodeAsk::Renew => self.renew(node).await,
        };
        answer.unwrap_or_else(NodeAnswer::Refused)
    }

    async fn hello(&self, node: NodeId, report: Box<NodeReport>) -> Result<NodeAnswer, Problem> {
        check_report(node, &report)
            .map_err(|bad| Problem::invalid("report", format!("the report is refused: {bad}")))?;
        match self.engine.node_hello(report).await? {
            Reply::Welcome { recorded_seq } => Ok(NodeAnswer::Welcome(Welcome {
                leader: self.engine.leader(),
                recorded_seq,
                beat_every: self.beat_every,
                lease_ttl: self.lease_ttl,
            })),
            reply @ (Reply::Done | Reply::Submitted { .. } | Reply::Changed { .. }) => {
                Err(Problem::new(ErrorCode::Internal, format!("a hello was answered by {reply:?}")))
            }
        }
    }

    async fn put_urls(
        &self,
        node: NodeId,
        attempt: AttemptKey,
        objects: Vec<ObjectPut>,
    ) -> Result<NodeAnswer, Problem> {
        check_puts(&objects)?;
        self.access.check_holds(node, attempt).await?;
        let prefix = subject::attempt_prefix(attempt);
        let mut urls: Vec<ObjectUrl> = Vec::with_capacity(objects.len());
        for object in objects {
            let key = format!("{prefix}{}", object.name);
            urls.push(self.objects.presign_put(&key, object.size, NODE_URL_TTL).await?);
        }
        Ok(NodeAnswer::Urls { urls })
    }

    async fn get_urls(
        &self,
        node: NodeId,
        attempt: AttemptKey,
        keys: Vec<String>,
    ) -> Result<NodeAnswer, Problem> {
        check_count(keys.len())?;
        self.access.check_holds(node, attempt).await?;
        self.access.check_readable(attempt.job, &keys).await?;
        let mut urls: Vec<ObjectUrl> = Vec::with_capacity(keys.len());
        for key in keys {
            urls.push(self.objects.presign_get(&key, NODE_URL_TTL).await?);
        }
        Ok(NodeAnswer::Urls { urls })
    }

    async fn check_objects(
        &self,
        node: NodeId,
        attempt: AttemptKey,
        objects: Vec<PackRef>,
    ) -> Result<NodeAnswer, Problem> {
        check_count(objects.len())?;
        self.access.check_holds(node, attempt).await?;
        let foreign = |object: &&PackRef| keys::attempt_of(&object.key) != Some(attempt);
        if let Some(object) = objects.iter().find(foreign) {
            let detail = format!("{} is not an object of {attempt}", shown(&object.key));
            return Err(Problem::new(ErrorCode::Forbidden, detail));
        }
        let checks = stream::iter(objects.into_iter().map(|object| self.check_object(object)));
        checks.buffer_unordered(CHECKS_AT_ONCE).try_collect::<()>().await?;
        Ok(NodeAnswer::Present)
    }

    async fn check_object(&self, object: PackRef) -> Result<(), Problem> {
        let key = shown(&object.key);
        match self.objects.head(&object.key).await? {
            Some(size) if size == object.size => Ok(()),
            Some(size) => Err(Problem::new(
                ErrorCode::Integrity,
                format!("the object {key} has {size} bytes, not {}", object.size),
            )),
            None => Err(Problem::new(ErrorCode::NotFound, format!("there is no object {key}"))),
        }
    }

    async fn renew(&self, node: NodeId) -> Result<NodeAnswer, Problem> {
        Ok(NodeAnswer::Credential { jwt: self.nodes.renew(node).await? })
    }
}
