//! An object store that fails as it is told to, for what no server can be brought to do.

use std::fmt;
use std::sync::Arc;

use futures::stream::BoxStream;
use futures::{FutureExt, StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMultipartOptions,
    PutOptions, PutPayload, PutResult, Result,
};

/// What is asked of the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Call {
    Put,
    Get,
    List,
}

/// What becomes of a call.
pub enum Fate {
    /// It is carried out.
    Done,
    /// It fails, and nothing has happened.
    Failed(object_store::Error),
    /// It is carried out, and fails all the same: the answer is lost.
    Unheard(object_store::Error),
}

/// An error with a text.
pub fn error(text: &str) -> object_store::Error {
    object_store::Error::Generic { store: "shaky", source: text.to_owned().into() }
}

/// A full disk's error, as the store for folders gives it.
pub fn full() -> object_store::Error {
    let error = std::io::Error::from_raw_os_error(28);
    object_store::Error::Generic { store: "LocalFileSystem", source: error.into() }
}

type Decide = dyn Fn(Call, &Path) -> Fate + Send + Sync;

/// The store. `decide` may block.
pub struct Shaky {
    inner: Arc<dyn ObjectStore>,
    decide: Box<Decide>,
}

impl Shaky {
    pub fn new(inner: impl ObjectStore, decide: impl Fn(Call, &Path) -> Fate + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self { inner: Arc::new(inner), decide: Box::new(decide) })
    }
}

impl fmt::Debug for Shaky {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Shaky({})", self.inner)
    }
}

impl fmt::Display for Shaky {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Shaky({})", self.inner)
    }
}

#[async_trait::async_trait]
impl ObjectStore for Shaky {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        match (self.decide)(Call::Put, location) {
            Fate::Done => self.inner.put_opts(location, payload, options).await,
            Fate::Failed(error) => Err(error),
            Fate::Unheard(error) => self.inner.put_opts(location, payload, options).await.and(Err(error)),
        }
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        match (self.decide)(Call::Put, location) {
            Fate::Done => self.inner.put_multipart_opts(location, options).await,
            Fate::Failed(error) | Fate::Unheard(error) => Err(error),
        }
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        match (self.decide)(Call::Get, location) {
            Fate::Done => self.inner.get_opts(location, options).await,
            Fate::Failed(error) | Fate::Unheard(error) => Err(error),
        }
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        match (self.decide)(Call::List, prefix.unwrap_or(&Path::default())) {
            Fate::Done => self.inner.list(prefix),
            Fate::Failed(error) | Fate::Unheard(error) => async move { Err(error) }.into_stream().boxed(),
        }
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        match (self.decide)(Call::Put, to) {
            Fate::Done => self.inner.copy_opts(from, to, options).await,
            Fate::Failed(error) => Err(error),
            Fate::Unheard(error) => self.inner.copy_opts(from, to, options).await.and(Err(error)),
        }
    }
}

#[tokio::test]
async fn it_fails_as_it_is_told_to() {
    use object_store::ObjectStoreExt;
    let folder = tempfile::tempdir().expect("a folder");
    let inner = object_store::local::LocalFileSystem::new_with_prefix(folder.path()).expect("a store");
    let shaky = Shaky::new(inner, |call, path| match (call, path.as_ref()) {
        (Call::Put, "failed") => Fate::Failed(error("no")),
        (Call::Put, "unheard") => Fate::Unheard(error("lost")),
        _ => Fate::Done,
    });
    for (name, there) in [("failed", false), ("unheard", true)] {
        shaky.put(&name.into(), PutPayload::from_static(b"x")).await.expect_err("fails");
        assert_eq!(shaky.get(&name.into()).await.is_ok(), there, "{name}");
    }
    assert_eq!(shaky.list(None).try_collect::<Vec<_>>().await.expect("lists").len(), 1);
}
