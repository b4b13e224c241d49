//! Finding a source's digests without listing its logs.
//!
//! Owns: the way down a bucket by its folders (`[prefix/]AWSLogs/[o-ID/]ACCOUNT/CloudTrail-Digest/REGION/`), and from there the
//! days asked for. Nothing is taken from a list of known accounts or regions.

use chrono::NaiveDate;
use futures::StreamExt;

use super::s3::S3Source;
use super::{Kind, Source, key};
use crate::error::{Error, Result};

/// Prefixes listed at the same time.
const CONCURRENCY: usize = 16;

/// Levels of folders above `AWSLogs` that are looked into.
const MAX_DEPTH: usize = 6;

/// First and last day; open where there is none.
pub type DayRange = (Option<NaiveDate>, Option<NaiveDate>);

/// How the listing of digests went.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DigestListing {
    /// Requests (or folders) it took.
    pub requests: u64,
    /// What could not be listed, and why.
    pub unreadable: Vec<String>,
}

impl Source {
    /// Lists the names of all objects that can be digests of some days; a few others may come along.
    ///
    /// # Errors
    /// Where the source as a whole cannot be listed.
    pub async fn digests(&self, days: DayRange, visit: &mut (dyn FnMut(&str) + Send)) -> Result<DigestListing> {
        match self {
            Self::S3(source) => source.digests(days, visit).await,
            Self::Folder(source) => {
                let listing = source.list_all()?;
                for name in listing.names.iter().filter(|name| key::kind(name) == Kind::Digest) {
                    visit(name);
                }
                Ok(DigestListing { requests: listing.requests, unreadable: listing.unreadable })
            }
        }
    }
}

impl S3Source {
    async fn digests(&self, days: DayRange, visit: &mut (dyn FnMut(&str) + Send)) -> Result<DigestListing> {
        let mut listing = DigestListing::default();
        let regions = self.digest_folders(&mut listing).await?;
        let lists = regions.into_iter().map(|region| self.list_days(region, days));
        let mut lists = std::pin::pin!(futures::stream::iter(lists).buffer_unordered(CONCURRENCY));
        while let Some((keys, requests, error)) = lists.next().await {
            listing.requests += requests;
            listing.unreadable.extend(error.map(|error| error.to_string()));
            keys.iter().for_each(|key| visit(&self.name(key)));
        }
        listing.unreadable.sort();
        Ok(listing)
    }

    /// Folders with the digests of a region each.
    async fn digest_folders(&self, listing: &mut DigestListing) -> Result<Vec<String>> {
        let (mut level, mut found) = (vec![self.prefix().to_owned()], Vec::new());
        let mut first = true;
        for _ in 0..MAX_DEPTH + 4 {
            let (leaves, inner): (Vec<_>, Vec<_>) = level.drain(..).partition(|prefix| is_region_folder(prefix));
            found.extend(leaves);
            let lists = inner.iter().map(|prefix| self.folders(prefix));
            let mut lists = std::pin::pin!(futures::stream::iter(lists).buffer_unordered(CONCURRENCY));
            while let Some(result) = lists.next().await {
                match result {
                    Ok((folders, requests)) => {
                        listing.requests += requests;
                        level.extend(folders.into_iter().filter(|folder| leads_to_digests(folder)));
                    }
                    Err(error) if first => return Err(error),
                    Err(error) => listing.unreadable.push(error.to_string()),
                }
            }
            first = false;
        }
        found.sort();
        Ok(found)
    }

    /// Keys of a region's digests; what was found until an error, too.
    async fn list_days(&self, region: String, (from, to): DayRange) -> (Vec<String>, u64, Option<Error>) {
        let after = from.map(|day| format!("{region}{}", day.format("%Y/%m/%d")));
        let until = to.map(|day| format!("{region}{}~", day.format("%Y/%m/%d")));
        let (mut keys, mut requests) = (Vec::new(), 0);
        let error = self
            .each_page(&region, after, |page| {
                requests += 1;
                let past = |key: &String| until.as_ref().is_some_and(|until| key > until);
                let over = page.last().is_some_and(past);
                keys.extend(page.into_iter().filter(|key| !past(key)));
                !over
            })
            .await
            .err();
        (keys, requests, error)
    }
}

/// `…/CloudTrail-Digest/REGION/` and what is below.
fn is_region_folder(prefix: &str) -> bool {
    let below = prefix.split_once("CloudTrail-Digest/").map(|(_, below)| below);
    below.is_some_and(|below| below.contains('/'))
}

/// Whether digests can be below a folder, from what CloudTrail's layout has at its level.
fn leads_to_digests(folder: &str) -> bool {
    let Some((above, below)) = folder.split_once("AWSLogs/") else {
        return folder.matches('/').count() <= MAX_DEPTH;
    };
    let levels: Vec<&str> = below.split_terminator('/').collect();
    let levels = if levels.first().is_some_and(|id| id.starts_with("o-")) { &levels[1..] } else { &levels };
    (above.is_empty() || above.ends_with('/')) && levels.get(1).is_none_or(|service| *service == "CloudTrail-Digest")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_can_hold_digests_is_looked_into() {
        for yes in [
            "p/",
            "AWSLogs/",
            "p/q/AWSLogs/",
            "AWSLogs/o-abc/",
            "AWSLogs/1/",
            "AWSLogs/o-abc/1/CloudTrail-Digest/",
            "AWSLogs/1/CloudTrail-Digest/r/",
        ] {
            assert!(leads_to_digests(yes), "{yes}");
        }
        for no in
            ["AWSLogs/1/CloudTrail/", "AWSLogs/o-abc/1/Config/", "AWSLogs/1/CloudTrail-Insight/", "a/b/c/d/e/f/g/"]
        {
            assert!(!leads_to_digests(no), "{no}");
        }
        assert!(is_region_folder("AWSLogs/1/CloudTrail-Digest/r/"));
        assert!(!is_region_folder("AWSLogs/1/CloudTrail-Digest/"));
    }
}
