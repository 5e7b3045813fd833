//! One address of the provider: asked, and what it answers read.

use std::path::Path;

use bytes::Bytes;
use hyper::{
    HeaderMap, Method, StatusCode, header::AUTHORIZATION, header::CONTENT_TYPE, header::HeaderValue,
};
use serde::de::DeserializeOwned;

use super::{Refusal, Settings, settings::unfit};
use crate::web::{Answer, AnswerBody, Client, Draft, Payload, meaning, meaning::Statuses, place};

/// The longest answer of a provider.
const LONGEST: usize = 1_000_000;

pub(super) struct Endpoint {
    client: Client,
    url: String,
}

impl Endpoint {
    pub(super) fn new(
        settings: &Settings,
        (name, url): (&'static str, &str),
        root: &Path,
    ) -> Result<Self, Refusal> {
        if let Some(why) = unfit(url) {
            return Err(Refusal::Away(format!("its `{name}` {why}")));
        }
        let client = settings.access(name, url).client(root, LONGEST).map_err(Refusal::Away)?;
        Ok(Self { client, url: url.to_owned() })
    }

    /// Reads what stands there.
    pub(super) async fn get<T: DeserializeOwned>(&self, bearer: Option<&str>) -> Result<T, Refusal> {
        let mut headers = Client::headers("application/json");
        if let Some(token) = bearer {
            let value = HeaderValue::from_str(&format!("Bearer {token}"));
            let unfit = |_| Refusal::Unproven("its access token is none that can be sent".to_owned());
            headers.insert(AUTHORIZATION, value.map_err(unfit)?);
        }
        let (status, body) = self.ask(Method::GET, headers, Payload::default()).await?;
        if !status.is_success() {
            return Err(Refusal::Away(format!("{} answered {}", self.url, status.as_u16())));
        }
        self.read(&body)
    }

    /// Posts a form. What comes back is read whatever its status.
    pub(super) async fn post(
        &self,
        form: String,
        authorization: Option<HeaderValue>,
    ) -> Result<(StatusCode, Bytes), Refusal> {
        let mut headers = Client::headers("application/json");
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
        headers.extend(authorization.map(|value| (AUTHORIZATION, value)));
        self.ask(Method::POST, headers, Bytes::from(form).into()).await
    }

    pub(super) fn read<T: DeserializeOwned>(&self, body: &[u8]) -> Result<T, Refusal> {
        serde_json::from_slice(body)
            .map_err(|_| Refusal::Away(format!("what {} answers is not what a provider answers", self.url)))
    }

    async fn ask(
        &self,
        method: Method,
        headers: HeaderMap,
        body: Payload,
    ) -> Result<(StatusCode, Bytes), Refusal> {
        let away = |why: String| Refusal::Away(format!("{}: {why}", self.url));
        let target = place::target(&self.url, std::iter::empty()).map_err(away)?;
        let target = target.parse().map_err(|_| away("is no URL".to_owned()))?;
        let draft = Draft { method, target, headers, body };
        let asked = self.client.ask(draft, &[Statuses::SUCCESS], self.client.deadline()).await;
        let Answer { status, body, .. } = asked.map_err(|error| away(meaning::plain(&error)))?;
        match body {
            AnswerBody::Whole(body) => Ok((status, body)),
            AnswerBody::Long(_) | AnswerBody::Cut(_) => {
                Err(away("the answer did not come to its end".to_owned()))
            }
        }
    }
}
