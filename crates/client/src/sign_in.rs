//! Signing in with a link that a server printed: it is used up, and leaves a token of one's own.

use quire_api::{NewToken, SignIn, SignedIn, TokenMade};
use quire_domain::secret::Secret;
use reqwest::header::{COOKIE, HeaderName, HeaderValue, SET_COOKIE};

use crate::connection::Client;
use crate::error::ClientError;
use crate::request::{Call, Once};

impl Client {
    /// Signs in with what stands behind `#` in a link, makes a token called `name`, and signs out
    /// again.
    pub async fn token_by_link(
        &self,
        link: &str,
        name: &str,
    ) -> Result<Secret<String>, ClientError> {
        let sign_in = SignIn { name: None, password: None, link: Some(link.to_owned()) };
        // The link is used up by the first try that arrives.
        let call = Call { once: Once::Never, ..Call::post(&["sign-in"]).json(&sign_in) };
        let response = self.send(call).await?;
        let cookies = response.headers().get_all(SET_COOKIE).iter();
        let pairs: Vec<String> = cookies
            .filter_map(|cookie| cookie.to_str().ok()?.split(';').next().map(str::to_owned))
            .collect();
        let bytes = self.whole(response, 64 << 10).await?;
        let signed_in: SignedIn =
            serde_json::from_slice(&bytes).map_err(|error| self.bad(error.to_string()))?;
        let header = |text: &str| {
            HeaderValue::from_str(text).map_err(|_| self.bad("its session cannot be sent back"))
        };
        let (cookie, csrf) = (header(&pairs.join("; "))?, header(&signed_in.csrf)?);
        let as_session = |call: Call| {
            call.header(COOKIE, cookie.clone())
                .header(HeaderName::from_static("x-quire-csrf"), csrf.clone())
        };
        let new = NewToken { name: name.to_owned(), scopes: None, team: None, days: None };
        let made: TokenMade =
            self.ask(as_session(Call::post(&["me", "tokens"]).json(&new))).await?;
        // A session that stays open for an hour more harms nobody.
        let _ = self.tell(as_session(Call::post(&["sign-out"]))).await;
        Ok(Secret::new(made.token))
    }
}
