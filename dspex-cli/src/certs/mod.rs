//! `dspex certs`: a private authority in a directory, and what it signs.
//!
//! ```text
//! certs/
//!   ca.pem  ca.key                                  the authority; its key signs, and belongs on no worker and no host
//!   workers/<name>/server.pem server.key            goes to the workers of this name,
//!                  client-ca.pem tokens             with whom they serve
//!   hosts/<name>/client.pem client.key ca.pem token goes to the host
//! ```

mod authority;
mod files;
mod leaf;

use std::path::{Path, PathBuf};
use std::time::Duration;

use authority::Authority;
use files::{Dir, FileError};
use leaf::{Leaf, Purpose};

/// The least and the most days that a certificate may be valid.
const DAYS: std::ops::RangeInclusive<u32> = 1..=825;

/// What is done with the authority.
#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// Make an authority, and certificates and tokens for workers and hosts.
    Init(Issue),
    /// Make certificates and tokens for more workers or hosts.
    Add(Issue),
    /// Make all certificates anew, with new keys and the same names; tokens stay.
    Renew {
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        validity: Validity,
    },
    /// Take hosts out: their directories, and their tokens from what workers are given. Nothing makes them anew then.
    Remove {
        #[command(flatten)]
        place: Place,
        /// A host; repeatable.
        #[arg(long = "host", value_name = "NAME", required = true)]
        hosts: Vec<String>,
    },
    /// Tell what there is, and until when it is valid.
    Show {
        #[command(flatten)]
        place: Place,
    },
}

/// What is made.
#[derive(clap::Args)]
pub(crate) struct Issue {
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    validity: Validity,
    /// A group of workers that share a certificate, with the host names and addresses that they are connected to as;
    /// repeatable. The group's own name is one of them.
    #[arg(long = "worker", value_name = "NAME[=ADDRESS,..]")]
    workers: Vec<String>,
    /// A host; repeatable.
    #[arg(long = "host", value_name = "NAME")]
    hosts: Vec<String>,
}

#[derive(clap::Args)]
pub(crate) struct Place {
    /// The authority's directory.
    #[arg(long, value_name = "DIR", default_value = "certs")]
    dir: PathBuf,
}

#[derive(clap::Args)]
pub(crate) struct Validity {
    /// For how long certificates are valid.
    #[arg(long, default_value_t = 90)]
    days: u32,
}

/// Why nothing, or not everything, was made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CertsError {
    #[error(transparent)]
    File(#[from] FileError),
    #[error("{0} exists; choose another --dir, use `dspex certs add` or `renew`, or remove it yourself")]
    Exists(PathBuf),
    #[error("{0} holds no authority; make one with `dspex certs init`")]
    NoAuthority(PathBuf),
    #[error(
        "`{0}` cannot be a name: letters, digits, dots and dashes, at most 63, and no dot or dash in front"
    )]
    Name(String),
    #[error("`{name}` cannot be an address of a worker: {problem}")]
    Address { name: String, problem: String },
    #[error("there is no host `{name}`; there are: {hosts}")]
    NoHost { name: String, hosts: String },
    #[error("nothing to make: name workers with --worker or hosts with --host")]
    Nothing,
    #[error("--days: a certificate is valid for {} to {} days", DAYS.start(), DAYS.end())]
    Days,
    #[error(
        "the authority expires on {0}, before what it would sign; make a new one with `dspex certs init`"
    )]
    AuthorityExpires(String),
    #[error("{path}: {problem}")]
    Certificate { path: PathBuf, problem: String },
    #[error("a certificate could not be made: {0}")]
    Make(#[from] rcgen::Error),
}

/// Does it; returns what the operator is told.
pub(crate) fn run(command: Command) -> Result<String, CertsError> {
    match command {
        Command::Init(issue) => init(issue),
        Command::Add(issue) => add(issue),
        Command::Renew { place, validity } => renew(&place.dir, validity.lasting()?),
        Command::Remove { place, hosts } => remove(&place.dir, &hosts),
        Command::Show { place } => show(&place.dir),
    }
}

impl Validity {
    fn lasting(&self) -> Result<Duration, CertsError> {
        if !DAYS.contains(&self.days) {
            return Err(CertsError::Days);
        }
        Ok(Duration::from_secs(u64::from(self.days) * 24 * 3600))
    }
}

fn init(mut issue: Issue) -> Result<String, CertsError> {
    if issue.workers.is_empty() {
        issue.workers.push("workers=localhost,127.0.0.1,::1".to_owned());
    }
    if issue.hosts.is_empty() {
        issue.hosts.push("host".to_owned());
    }
    let planned = Planned::of(&issue)?;
    if issue.place.dir.exists() {
        return Err(CertsError::Exists(issue.place.dir));
    }
    let dir = Dir::create(&issue.place.dir)?;
    let authority = Authority::make()?;
    authority.write(&dir)?;
    planned.make(&dir, &authority)?;
    Ok(planned.next_steps(&issue.place.dir))
}

fn add(issue: Issue) -> Result<String, CertsError> {
    if issue.workers.is_empty() && issue.hosts.is_empty() {
        return Err(CertsError::Nothing);
    }
    let planned = Planned::of(&issue)?;
    let dir = Dir::open(&issue.place.dir)?;
    let authority = Authority::read(&dir)?;
    for path in planned.paths() {
        if dir.path().join(&path).exists() {
            return Err(CertsError::Exists(dir.path().join(path)));
        }
    }
    planned.make(&dir, &authority)?;
    Ok(planned.next_steps(&issue.place.dir))
}

fn renew(path: &Path, lasting: Duration) -> Result<String, CertsError> {
    let dir = Dir::open(path)?;
    let authority = Authority::read(&dir)?;
    let mut told = String::new();
    for leaf in Leaf::all(&dir)? {
        let end = leaf.write(&dir, &authority, lasting, true)?;
        told += &format!("{}: valid until {}\n", leaf.dir().display(), leaf::day(end));
    }
    Ok(told + "Copy the directories to where they belong; workers and hosts read them again by themselves.")
}

fn remove(path: &Path, hosts: &[String]) -> Result<String, CertsError> {
    let dir = Dir::open(path)?;
    let there = dir.folders(Purpose::Host.folder())?;
    if let Some(name) = hosts.iter().find(|host| !there.contains(host)) {
        return Err(CertsError::NoHost { name: name.clone(), hosts: there.join(", ") });
    }
    for host in hosts {
        dir.remove(Leaf::host(host)?.dir())?;
    }
    leaf::write_tokens(&dir)?;
    Ok(format!(
        "{} can call no worker that has the new tokens: copy workers/*/tokens to where they belong, and restart the workers.",
        hosts.join(", ")
    ))
}

fn show(path: &Path) -> Result<String, CertsError> {
    let dir = Dir::open(path)?;
    let authority = Authority::read(&dir)?;
    let mut told = format!("authority: valid until {}", leaf::day(authority.ends()));
    for leaf in Leaf::all(&dir)? {
        let end = leaf::day(leaf.ends(&dir)?);
        told += &format!("\n{}: {}; valid until {end}", leaf.dir().display(), leaf.names().join(", "));
    }
    Ok(told)
}

/// The certificates and tokens to make.
struct Planned {
    leaves: Vec<Leaf>,
    lasting: Duration,
}

impl Planned {
    fn of(issue: &Issue) -> Result<Self, CertsError> {
        let lasting = issue.validity.lasting()?;
        let workers = issue.workers.iter().map(|worker| Leaf::worker(worker));
        let hosts = issue.hosts.iter().map(|host| Leaf::host(host));
        let leaves = workers.chain(hosts).collect::<Result<Vec<_>, _>>()?;
        for (index, leaf) in leaves.iter().enumerate() {
            if leaves[..index].iter().any(|other| other.dir() == leaf.dir()) {
                return Err(CertsError::Exists(leaf.dir()));
            }
        }
        Ok(Self { leaves, lasting })
    }

    fn paths(&self) -> impl Iterator<Item = PathBuf> {
        self.leaves.iter().map(Leaf::dir)
    }

    fn make(&self, dir: &Dir, authority: &Authority) -> Result<(), CertsError> {
        for leaf in &self.leaves {
            leaf.write(dir, authority, self.lasting, false)?;
        }
        leaf::write_tokens(dir)
    }

    /// The two commands that come next.
    fn next_steps(&self, dir: &Path) -> String {
        let of = |purpose: Purpose| {
            let leaf = self.leaves.iter().find(|leaf| leaf.purpose() == purpose);
            leaf.map_or_else(|| dir.join(purpose.folder()).join("NAME"), |leaf| dir.join(leaf.dir()))
        };
        let (worker, host) = (of(Purpose::Worker), of(Purpose::Host));
        let (at, host_at, name) = (worker.display(), host.display(), self.worker_name());
        format!(
            "Made in {dir}. Keep ca.key away from workers and hosts; `dspex certs renew` needs it before {days} days are over.

1. On each worker, with {at}/ copied there:

     dspex serve --listen 0.0.0.0:7443 --tls-cert {at}/server.pem --tls-key {at}/server.key --tls-client-ca {at}/client-ca.pem --token-file {at}/tokens

2. In the host, with {host_at}/ copied there:

     Dspex::builder()
         .endpoint(Endpoint::tcp(\"{name}:7443\").tls(ClientTls::from_dir(\"{host_at}\")))
         .token(std::fs::read_to_string(\"{host_at}/token\")?.trim())",
            dir = dir.display(),
            days = self.lasting.as_secs() / (24 * 3600),
        )
    }

    fn worker_name(&self) -> String {
        let worker = self.leaves.iter().find(|leaf| leaf.purpose() == Purpose::Worker);
        let names = worker.map(Leaf::names).unwrap_or_default();
        // The first one that somebody gave; the group's own name is no address.
        names.get(1).or(names.first()).cloned().unwrap_or_else(|| "WORKER".to_owned())
    }
}
