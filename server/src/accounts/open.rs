//! Coming in: with a name and a password, with a link that works once, with a session or a token.

use std::{net::IpAddr, time::Instant};

use jiff::Timestamp;

use super::{
    Accounts, Caller, Door, IDLE, Refused, SESSION, SESSIONS, Sees, Session,
    kept::Account,
    password::{Password, weakness, work_all_the_same},
    secret::{digest, fresh, same},
};

impl Accounts {
    /// A new session for who knows the password. The secret is given once and kept as a digest.
    pub(crate) async fn sign_in(&self, name: &str, password: &str, from: IpAddr) -> Result<String, Refused> {
        self.attempts.begin(name, from).map_err(Refused::Wait)?;
        let kept = self.read(|kept| kept.accounts.get(name).and_then(|account| account.password.clone()));
        let (text, compared) = (password.to_owned(), kept.clone());
        let fits = self
            .away(move || {
                let Some(kept) = compared else {
                    work_all_the_same(&text);
                    return false;
                };
                kept.fits(&text)
            })
            .await?;
        // The password may have been changed meanwhile: the session would be the old one's.
        let is_still = self.read(|now| now.accounts.get(name).and_then(|one| one.password.clone()) == kept);
        if !fits || !is_still {
            return Err(Refused::Wrong);
        }
        self.attempts.succeeded(name, from);
        Ok(self.begin_session(name)?)
    }

    /// Chooses the password of the account whose link this is; the link works no second time, other sessions end.
    pub(crate) async fn welcome(
        &self,
        link: &str,
        password: &str,
        from: IpAddr,
    ) -> Result<(String, String), Refused> {
        self.attempts.begin("link", from).map_err(Refused::Wait)?;
        let link = digest(link);
        let name = self.read(|kept| owner(kept, &link)).ok_or(Refused::Wrong)?;
        self.attempts.succeeded("link", from);
        if let Some(weakness) = weakness(password, &name) {
            return Err(Refused::Unfit(weakness));
        }
        let text = password.to_owned();
        let made = self.away(move || Password::of(&text)).await??;
        self.change(|kept| {
            let name = owner(kept, &link).ok_or(Refused::Wrong)?;
            let account = kept.accounts.get_mut(&name).ok_or(Refused::Wrong)?;
            (account.password, account.link) = (Some(made), None);
            Ok(())
        })?;
        self.end_sessions(&name);
        let session = self.begin_session(&name)?;
        Ok((name, session))
    }

    /// Who a session is, as long as it lasts.
    pub(crate) fn by_session(&self, secret: &str) -> Option<Caller> {
        self.by_session_digest(&digest(secret), Use::Now)
    }

    /// Who a token is, as long as it lasts.
    pub(crate) fn by_token(&self, secret: &str) -> Option<Caller> {
        self.by_token_digest(&digest(secret))
    }

    /// Whether this caller would still be let in with what he may.
    pub(crate) fn still(&self, caller: &Caller) -> bool {
        let now = match &caller.door {
            Door::Key => return true,
            Door::Session(digest) => self.by_session_digest(digest, Use::Seen),
            Door::Token(digest) => self.by_token_digest(digest),
        };
        now.is_some_and(|now| now.rights == caller.rights && now.sees == caller.sees)
    }

    /// Whose link this is, as long as it works.
    pub(crate) fn owner_of_link(&self, link: &str) -> Option<String> {
        self.read(|kept| owner(kept, &digest(link)))
    }

    pub(crate) fn sign_out(&self, door: &Door) {
        if let Door::Session(digest) = door {
            self.sessions.lock().expect("no holder of this lock panics").remove(digest);
        }
    }

    pub(super) fn end_sessions(&self, account: &str) {
        let mut sessions = self.sessions.lock().expect("no holder of this lock panics");
        sessions.retain(|_, session| session.account != account);
    }

    fn by_session_digest(&self, digest: &str, use_now: Use) -> Option<Caller> {
        let name = {
            let mut sessions = self.sessions.lock().expect("no holder of this lock panics");
            sessions.retain(|_, one| one.begun.elapsed() < SESSION && one.used.elapsed() < IDLE);
            let session = sessions.get_mut(digest)?;
            if matches!(use_now, Use::Now) {
                session.used = Instant::now();
            }
            session.account.clone()
        };
        let place = |account: &Account| (account.role, Sees::of(&account.tags));
        let (role, sees) = self.read(|kept| kept.accounts.get(&name).map(place))?;
        let door = Door::Session(digest.to_owned());
        Some(Caller { name, rights: role.rights().to_vec(), sees, door, from: None })
    }

    fn by_token_digest(&self, digest: &str) -> Option<Caller> {
        let now = Timestamp::now();
        self.read(|kept| {
            let ours = kept.tokens.iter().filter(|(_, token)| token.until > now);
            let mut found = ours.filter(|(_, token)| same(token.digest.as_bytes(), digest.as_bytes()));
            let (name, token) = found.next()?;
            let door = Door::Token(digest.to_owned());
            let (mut rights, mut sees) = (token.rights.clone(), Sees::of(&token.tags));
            if let Some(account) = &token.account {
                // It may no more than the one who made it does today.
                let account = kept.accounts.get(account)?;
                rights.retain(|right| account.role.rights().contains(right));
                sees = sees.within(&Sees::of(&account.tags));
            }
            Some(Caller { name: format!("token {name}"), rights, sees, door, from: None })
        })
    }

    pub(super) fn begin_session(&self, account: &str) -> Result<String, std::io::Error> {
        let secret = fresh()?;
        let now = Instant::now();
        let session = Session { account: account.to_owned(), begun: now, used: now };
        let mut sessions = self.sessions.lock().expect("no holder of this lock panics");
        let ours = sessions.iter().filter(|(_, one)| one.account == account);
        let ours: Vec<_> = ours.map(|(digest, one)| (one.begun, digest.clone())).collect();
        if ours.len() >= SESSIONS
            && let Some((_, oldest)) = ours.into_iter().min()
        {
            sessions.remove(&oldest);
        }
        sessions.insert(digest(&secret), session);
        Ok(secret)
    }

    /// Hashes where no other request waits for it, and not many at once.
    async fn away<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Refused> {
        let _turn = self.hashing.acquire().await.expect("nobody closes it");
        tokio::task::spawn_blocking(work).await.map_err(|error| Refused::Broken(std::io::Error::other(error)))
    }
}

/// Whether a look at a session keeps it from becoming idle.
#[derive(Clone, Copy)]
enum Use {
    Now,
    Seen,
}

fn owner(kept: &super::Kept, link: &str) -> Option<String> {
    let now = Timestamp::now();
    let fits = |account: &Account| {
        account
            .link
            .as_ref()
            .is_some_and(|one| one.until > now && same(one.digest.as_bytes(), link.as_bytes()))
    };
    kept.accounts.iter().find(|(_, account)| fits(account)).map(|(name, _)| name.clone())
}

#[cfg(test)]
mod tests {
    use super::{
        super::{Position, Right, Role, TokenWish},
        *,
    };

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
    const WORDS: &str = "four words make one";

    fn position(role: Role, tags: &[&str]) -> Position {
        Position { role, tags: tags.iter().map(|tag| (*tag).to_owned()).collect() }
    }

    fn administrator() -> Caller {
        let rights = Right::ALL.to_vec();
        Caller { name: "ada".to_owned(), rights, sees: Sees::Everything, door: Door::Key, from: None }
    }

    #[tokio::test]
    async fn the_first_link_makes_an_administrator_once() {
        let folder = tempfile::tempdir().unwrap();
        let accounts = Accounts::open(folder.path()).unwrap();
        let link = accounts.first_link().unwrap().unwrap();
        assert!(matches!(accounts.welcome("no such link", WORDS, HERE).await, Err(Refused::Wrong)));
        assert!(matches!(accounts.welcome(&link, "short", HERE).await, Err(Refused::Unfit(_))));
        let (name, session) = accounts.welcome(&link, WORDS, HERE).await.unwrap();
        assert!(accounts.by_session(&session).unwrap().may(Right::Administer));
        assert!(matches!(accounts.welcome(&link, WORDS, HERE).await, Err(Refused::Wrong)));
        // Kept: a second start makes no link, and knows the password.
        let again = Accounts::open(folder.path()).unwrap();
        assert!(again.first_link().unwrap().is_none());
        assert!(again.by_session(&session).is_none());
        let session = again.sign_in(&name, WORDS, HERE).await.unwrap();
        let caller = again.by_session(&session).unwrap();
        again.sign_out(&caller.door);
        assert!(again.by_session(&session).is_none() && !again.still(&caller));
    }

    #[tokio::test]
    async fn a_role_that_is_changed_counts_at_once_and_a_removed_account_is_out() {
        let folder = tempfile::tempdir().unwrap();
        let accounts = Accounts::open(folder.path()).unwrap();
        let first = accounts.first_link().unwrap().unwrap();
        accounts.welcome(&first, WORDS, HERE).await.unwrap();
        let link = accounts.add("ada", position(Role::Operator, &[])).unwrap();
        let (_, session) = accounts.welcome(&link, WORDS, HERE).await.unwrap();
        let caller = accounts.by_session(&session).unwrap();
        assert!(caller.may(Right::Content));
        accounts.change_position("ada", position(Role::Viewer, &[])).unwrap();
        assert!(!accounts.by_session(&session).unwrap().may(Right::Content) && !accounts.still(&caller));
        accounts.remove("ada").unwrap();
        assert!(accounts.by_session(&session).is_none());
        assert!(matches!(accounts.remove("admin"), Err(Refused::Unfit(_))));
    }

    #[tokio::test]
    async fn wrong_passwords_are_refused_and_then_made_to_wait() {
        let folder = tempfile::tempdir().unwrap();
        let accounts = Accounts::open(folder.path()).unwrap();
        for _ in 0..5 {
            assert!(matches!(accounts.sign_in("ada", "wrong", HERE).await, Err(Refused::Wrong)));
        }
        assert!(matches!(accounts.sign_in("ada", "wrong", HERE).await, Err(Refused::Wait(_))));
    }

    #[tokio::test]
    async fn a_token_goes_with_the_account_that_made_it_and_never_may_more() {
        let folder = tempfile::tempdir().unwrap();
        let accounts = Accounts::open(folder.path()).unwrap();
        accounts.first_link().unwrap().unwrap();
        let link = accounts.add("ada", position(Role::Administrator, &[])).unwrap();
        let (_, session) = accounts.welcome(&link, WORDS, HERE).await.unwrap();
        let ada = accounts.by_session(&session).unwrap();
        let wish = |name: &str, rights: &[Right]| TokenWish {
            name: name.to_owned(),
            rights: rights.to_vec(),
            tags: Vec::new(),
            days: 30,
        };
        let hers = accounts.make_token(&wish("hers", &Right::ALL), &ada).unwrap();
        let with_hers = accounts.by_token(&hers).unwrap();
        let second = accounts.make_token(&wish("second", &[Right::Content]), &with_hers).unwrap();
        let machine = accounts.make_token(&wish("machine", &[Right::Look]), &administrator()).unwrap();
        accounts.change_position("ada", position(Role::Operator, &["lab"])).unwrap();
        let now = accounts.by_token(&hers).unwrap();
        assert!(now.may(Right::Operate) && !now.may(Right::Administer) && !accounts.still(&with_hers));
        assert_eq!(now.sees, Sees::Tagged(vec!["lab".to_owned()]));
        accounts.remove("ada").unwrap();
        assert!(accounts.by_token(&hers).is_none() && accounts.by_token(&second).is_none());
        assert!(accounts.by_token(&machine).is_some());
        assert!(accounts.make_token(&wish("late", &[Right::Look]), &ada).is_err());
        // An account made later under the name has nothing of hers.
        accounts.add("ada", position(Role::Viewer, &[])).unwrap();
        assert!(accounts.by_token(&hers).is_none());
    }

    #[test]
    fn a_token_may_what_it_was_made_for_until_it_is_revoked() {
        let folder = tempfile::tempdir().unwrap();
        let accounts = Accounts::open(folder.path()).unwrap();
        let wanted =
            TokenWish { name: "monitor".to_owned(), rights: vec![Right::Look], tags: Vec::new(), days: 30 };
        let token = accounts.make_token(&wanted, &administrator()).unwrap();
        let caller = accounts.by_token(&token).unwrap();
        assert!(caller.may(Right::Look) && !caller.may(Right::Operate));
        assert!(accounts.by_token(&token[1..]).is_none());
        let text = std::fs::read_to_string(folder.path().join(super::super::FILE)).unwrap();
        assert!(!text.contains(&token), "a token is kept as its digest");
        accounts.revoke_token("monitor").unwrap();
        assert!(accounts.by_token(&token).is_none() && !accounts.still(&caller));
    }
}
