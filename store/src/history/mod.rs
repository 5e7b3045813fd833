//! What people look at and forget.

pub(crate) mod find;
mod forget;
mod show;

use std::time::SystemTime;

use async_trait::async_trait;
use engine::{Ages, DeliveryRow, History, MessageId, MessageRow, Query, Shown, StoreError, Unsettled};

use crate::{Sqlite, tables};

#[async_trait]
impl History for Sqlite {
    async fn find(&self, query: &Query) -> Result<Vec<MessageRow>, StoreError> {
        let query = query.clone();
        self.readers.read(move |connection| find::messages(connection, &query)).await
    }

    async fn show(&self, id: MessageId) -> Result<Option<Shown>, StoreError> {
        self.readers.read(move |connection| Ok(show::show(connection, id)?)).await
    }

    async fn deliveries(&self, query: &Query) -> Result<Vec<DeliveryRow>, StoreError> {
        let query = query.clone();
        self.readers.read(move |connection| find::deliveries(connection, &query)).await
    }

    async fn depths(&self) -> Result<Vec<(String, String, u64)>, StoreError> {
        self.readers.read(|connection| Ok(find::depths(connection)?)).await
    }

    async fn unsettled(&self, since: SystemTime) -> Result<Vec<Unsettled>, StoreError> {
        self.readers.read(move |connection| Ok(find::unsettled(connection, since)?)).await
    }

    async fn version(&self, hash: &str) -> Result<Option<String>, StoreError> {
        let hash = hash.to_owned();
        self.readers.read(move |connection| Ok(show::version(connection, &hash)?)).await
    }

    async fn forget(&self, channel: &str, ages: Ages) -> Result<u64, StoreError> {
        forget::forget(&self.writer, channel, ages).await
    }

    fn size(&self) -> u64 {
        let files = ["", "-wal", "-shm"].map(|end| self.folder.join(format!("{}{end}", tables::FILE)));
        files.iter().filter_map(|file| file.metadata().ok()).map(|file| file.len()).sum()
    }
}
