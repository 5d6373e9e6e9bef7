//! What a process may do without the secret of a scheduler, what a load may name, and what a
//! forged file of a work area can do: nothing.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tempfile::TempDir;
use tests::cluster::until;
use tests::days::{Day, day};
use tests::process::binary;
use tests::{Cluster, Invocation, Output, Workspace, python, rows};

/// The user `nobody`.
const NOBODY: &str = "65534";

fn first() -> Day {
    day("2024-01-30")
}

fn last() -> Day {
    day("2024-02-02")
}

/// A cluster with an input to load, and a file beside its folder that only its user may read.
struct Setup {
    workspace: Workspace,
    cluster: Cluster,
    outside: TempDir,
}

impl Setup {
    fn new() -> anyhow::Result<Self> {
        let workspace = Workspace::with_flows(first(), last(), 50)?;
        let state = format!("sqlite:{}", workspace.folder().join("state.db").display());
        let outside = tempfile::tempdir()?;
        fs::write(outside.path().join("secret"), "the secret of the user\n")?;
        Ok(Self {
            cluster: Cluster::new(workspace.folder(), &state)?,
            workspace,
            outside,
        })
    }

    fn secret(&self) -> PathBuf {
        self.outside.path().join("secret")
    }

    fn load(&self) -> anyhow::Result<Invocation> {
        let load = self.workspace.load(first(), last())?;
        Ok(load.args(["--cluster", &self.cluster.listen.to_string()]))
    }

    /// A load of the cluster from and to these places.
    fn load_of(&self, input: &str, output: &str) -> anyhow::Result<Invocation> {
        let days = [first().to_string(), last().to_string()];
        let load = self.workspace.lakebolt()?.args(["run", "vpc_flow"]);
        let load = load.args(["--input", input, "--output", output, "--format", "json"]);
        let load = load.args(["--from", &days[0], "--to", &days[1]]);
        Ok(load.args(["--cluster", &self.cluster.listen.to_string()]))
    }

    fn lakebolt(&self, arguments: &[&str]) -> anyhow::Result<Output> {
        let client = self.workspace.lakebolt()?.args(arguments);
        let address = self.cluster.listen.to_string();
        client
            .args(["--format", "json", "--cluster", &address])
            .run()
    }

    /// The newest load of the cluster.
    fn newest(&self) -> anyhow::Result<Value> {
        let answer = self.lakebolt(&["status"])?.expect_code(0);
        Ok(answer.json()["loads"][0].clone())
    }
}

/// Another user of this machine, with a folder and a copy of the command line.
struct Nobody {
    folder: TempDir,
}

impl Nobody {
    /// None where processes of another user cannot be started, which is said aloud and counted.
    fn new(test: &str) -> anyhow::Result<Option<Self>> {
        if !rustix::process::geteuid().is_root() || !Path::new("/usr/bin/setpriv").exists() {
            python::skipped(test, "needs root and setpriv to act as another user")?;
            return Ok(None);
        }
        let folder = tempfile::tempdir()?;
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777))?;
        let (program, copy) = (binary("lakebolt")?, folder.path().join("lakebolt"));
        if fs::hard_link(&program, &copy).is_err() {
            fs::copy(&program, &copy)?;
        }
        Ok(Some(Self { folder }))
    }

    fn run(&self, program: &Path, arguments: &[&str]) -> anyhow::Result<Output> {
        let setpriv = Invocation::new(Path::new("/usr/bin/setpriv"), self.folder.path());
        let setpriv = setpriv.args(["--reuid", NOBODY, "--regid", NOBODY, "--clear-groups"]);
        setpriv.arg(program).args(arguments).run()
    }

    fn lakebolt(&self, arguments: &[&str]) -> anyhow::Result<Output> {
        self.run(&self.folder.path().join("lakebolt"), arguments)
    }
}

#[test]
fn another_user_cannot_submit_read_status_or_cancel() -> anyhow::Result<()> {
    let Some(nobody) = Nobody::new("another_user_cannot_submit_read_status_or_cancel")? else {
        return Ok(());
    };
    let setup = Setup::new()?;
    let _scheduler = setup.cluster.serve()?;
    let load = setup.load()?.spawn()?;
    until("the load is accepted", || {
        setup.newest().is_ok_and(|load| load["state"] == "running")
    });
    let id = setup.newest()?["load_id"].clone();
    let id = id.as_str().unwrap_or_default();
    let (address, token) = (setup.cluster.listen.to_string(), setup.cluster.token_file());
    let (token, secret) = (token.display().to_string(), setup.secret());
    let secret = secret.display().to_string();
    let read = nobody.run(Path::new("/bin/cat"), &[&token])?;
    assert_eq!((read.code(), read.stdout.as_str()), (Some(1), ""));
    let submit = ["run", "vpc_flow", "--input", &secret, "--output", "lake"];
    let submit = [&submit[..], &["--daily=1"]].concat();
    for asked in [
        submit,
        vec!["status"],
        vec!["watch", id],
        vec!["cancel", id],
    ] {
        for file in [&token, "mine"] {
            let arguments = [&asked[..], &["--cluster", &address, "--token-file", file]].concat();
            let answer = nobody.lakebolt(&arguments)?.expect_code(5);
            assert!(answer.stderr.contains("token"), "{}", answer.stderr);
        }
        fs::write(nobody.folder.path().join("mine"), "0".repeat(64))?;
    }
    assert_eq!(setup.newest()?["state"], "running");
    setup.lakebolt(&["cancel", id])?.expect_code(0);
    load.wait()?.expect_code(7);
    Ok(())
}

#[test]
fn a_load_names_nothing_outside_the_policy() -> anyhow::Result<()> {
    let mut setup = Setup::new()?;
    let outside = setup.outside.path().display().to_string();
    let link = setup.workspace.folder().join("link");
    std::os::unix::fs::symlink(setup.outside.path(), &link)?;
    let secret = setup.secret().display().to_string();
    {
        let _scheduler = setup.cluster.serve()?;
        for (input, output) in [
            (secret.as_str(), "lake"),
            ("link", "lake"),
            ("link/secret", "lake"),
            ("s3://another-bucket/logs", "lake"),
            ("input", "link/lake"),
            ("input", &format!("{outside}/lake")),
        ] {
            let answer = setup.load_of(input, output)?.run()?.expect_code(2);
            assert!(answer.stderr.contains("--policy"), "{}", answer.stderr);
            assert_eq!(answer.json()["error"]["code"], "outside_policy");
        }
        let placed = setup.workspace.input().join("link.log");
        std::os::unix::fs::symlink(setup.secret(), &placed)?;
        let _executor = setup.cluster.executor()?.spawn()?;
        let answer = setup.load_of("input", "lake")?.run()?.expect_code(2);
        assert!(
            answer.stdout.contains("outside_policy"),
            "{}",
            answer.stdout
        );
        fs::remove_file(&placed)?;
        let arguments = ["--work", &format!("{outside}/work")];
        let answer = setup.load_of("input", "lake")?.args(arguments).run()?;
        let said = answer.expect_code(2).stderr;
        assert!(said.contains("work area"), "{said}");
        let role = ["--role-arn", "arn:aws:iam::123456789012:role/admin"];
        let answer = setup.load_of("input", "lake")?.args(role).run()?;
        assert!(answer.expect_code(2).stderr.contains("role/admin"));
    }
    assert!(!setup.outside.path().join("lake").exists());

    setup.cluster.allow(&outside);
    let _scheduler = setup.cluster.serve()?;
    let _executor = setup.cluster.executor()?.spawn()?;
    let target = format!("{outside}/lake");
    setup.load_of("input", &target)?.run()?.expect_code(0);
    assert!(!rows::objects(Path::new(&target)).is_empty());
    Ok(())
}

#[test]
fn rest_is_off_unless_asked_for_and_needs_the_token() -> anyhow::Result<()> {
    let mut setup = Setup::new()?;
    let token = |setup: &Setup| setup.cluster.authorization();
    let status = |setup: &Setup, method: &str, path: &str, headers: &[&str]| {
        let answer = setup.cluster.request(method, path, headers);
        let answer = answer.unwrap_or_default().to_lowercase();
        assert!(!answer.contains("access-control-"), "{answer}");
        let status = answer.split(' ').nth(1).map(str::to_owned);
        status.unwrap_or_default()
    };
    {
        let _scheduler = setup.cluster.serve()?;
        // gRPC's answer about a path that nobody serves.
        let answer = setup.cluster.http("/api/jobs").unwrap_or_default();
        assert!(answer.contains("grpc-status: 12"), "{answer}");
        assert_eq!(status(&setup, "GET", "/metrics", &[]), "401");
        assert_eq!(status(&setup, "GET", "/healthz", &[]), "200");
    }
    setup.cluster.settings.push("--rest".to_owned());
    let _scheduler = setup.cluster.serve()?;
    let frozen = setup.cluster.executor()?;
    let frozen = frozen.crash_at("stop:before-receipt:1").spawn()?;
    let load = setup.load()?.spawn()?;
    until("the executor freezes", || frozen.is_frozen());
    assert_eq!(status(&setup, "GET", "/api/jobs", &[&token(&setup)]), "200");
    let jobs = setup.cluster.http("/api/jobs").unwrap_or_default();
    let (_, id) = jobs.split_once("\"job_id\":\"").unwrap_or_default();
    let id = id.split('"').next().unwrap_or_default();
    assert!(!id.is_empty(), "{jobs}");
    let job = format!("/api/job/{id}");
    let wrong = format!("authorization: Bearer {}", "0".repeat(64));
    for headers in [&[][..], &[wrong.as_str()]] {
        assert_eq!(status(&setup, "PATCH", &job, headers), "401");
        assert_eq!(status(&setup, "GET", "/api/jobs", headers), "401");
    }
    let origin = "origin: https://attacker.example";
    for method in ["PATCH", "OPTIONS", "GET"] {
        let answer = status(&setup, method, &job, &[origin, &token(&setup)]);
        assert_eq!(answer, "403", "{method}");
    }
    frozen.thaw()?;
    load.wait()?.expect_code(0);
    setup.workspace.assert_exact(first(), last())
}

#[test]
fn without_tls_a_scheduler_stays_on_its_machine() -> anyhow::Result<()> {
    let setup = Setup::new()?;
    let mut beyond = setup.cluster.listen;
    beyond.set_ip([0, 0, 0, 0].into());
    let listen = ["--listen", &beyond.to_string()];
    let scheduler = || -> anyhow::Result<Invocation> {
        let program = binary("lakebolt-scheduler")?;
        Ok(Invocation::new(&program, setup.workspace.folder()).args(listen))
    };
    let refused = scheduler()?.run()?;
    assert_ne!(refused.code(), Some(0));
    assert!(refused.stderr.contains("--plain-tcp"), "{}", refused.stderr);
    let served = scheduler()?.arg("--plain-tcp").spawn()?;
    setup.cluster.wait_until_ready();
    setup.lakebolt(&["status"])?.expect_code(0);
    served.terminate()?;
    let served = served.wait()?.expect_code(0);
    assert!(served.stderr.contains("without TLS"), "{}", served.stderr);
    let status = ["status", "--cluster", "192.0.2.1:1"];
    let refused = setup.workspace.lakebolt()?.args(status).run()?;
    assert!(refused.expect_code(2).stderr.contains("--plain-tcp"));
    Ok(())
}

/// The only file in a folder of the work area whose path contains `part`.
fn only(folder: &Path, part: &str) -> PathBuf {
    let files = rows::files(folder).into_iter();
    let is_json = |path: &PathBuf| path.extension().is_some_and(|end| end == "json");
    let mut files = files.filter(|path| is_json(path) && path.to_string_lossy().contains(part));
    let found = files.next().expect("a file");
    assert!(files.next().is_none(), "more than one {part}");
    found
}

fn forge(file: &Path, change: impl FnOnce(&mut Value)) -> anyhow::Result<()> {
    let mut json: Value = serde_json::from_slice(&fs::read(file)?)?;
    change(&mut json);
    fs::write(file, serde_json::to_vec(&json)?)?;
    Ok(())
}

/// A file beside the lake that a forged document names.
fn victim(workspace: &Workspace) -> anyhow::Result<PathBuf> {
    let victim = workspace.folder().join(".bashrc");
    fs::write(&victim, "the user's own\n")?;
    Ok(victim)
}

#[test]
fn a_forged_manifest_deletes_and_replaces_nothing() -> anyhow::Result<()> {
    let day = day("2024-02-01");
    let workspace = Workspace::with_flows(day, day, 50)?;
    let victim = victim(&workspace)?;
    let dead = workspace.load(day, day)?.crash_at("after-commit").run()?;
    assert!(dead.was_killed());
    let manifest = only(&workspace.lake(), "/manifests/");
    let honest = fs::read(&manifest)?;
    let uri = format!("file://{}", victim.display());
    forge(&manifest, |json| {
        json["added"][0]["uri"] = uri.clone().into();
        json["removed"] = vec![uri].into();
    })?;
    let answer = workspace.load_again(day, day)?.run()?.expect_code(5);
    let error = answer.json()["error"].clone();
    assert_eq!(error["code"], "manifest_altered", "{}", answer.stdout);
    assert_eq!(fs::read_to_string(&victim)?, "the user's own\n");
    assert!(rows::objects(&workspace.lake()).is_empty());

    fs::write(&manifest, honest)?;
    workspace.load_again(day, day)?.run()?.expect_code(0);
    workspace.assert_exact(day, day)
}

#[test]
fn a_forged_receipt_publishes_nothing() -> anyhow::Result<()> {
    let setup = Setup::new()?;
    let victim = victim(&setup.workspace)?;
    let scheduler = setup.cluster.serve()?;
    let executor = setup.cluster.executor()?;
    let executor = executor.crash_at("stop:before-receipt:1").spawn()?;
    let day = ["--from", "2024-02-01", "--to", "2024-02-01"];
    let load = setup.workspace.run("vpc_flow")?.args(day);
    let load = load.args(["--cluster", &setup.cluster.listen.to_string()]);
    let load = load.spawn()?;
    until("the executor freezes", || executor.is_frozen());
    scheduler.freeze()?;
    executor.thaw()?;
    let is_receipt = |path: &PathBuf| {
        let path = path.to_string_lossy();
        path.contains("/receipts/") && path.ends_with(".json")
    };
    let receipts = || {
        let files = rows::files(&setup.workspace.lake()).into_iter();
        Vec::from_iter(files.filter(is_receipt))
    };
    until("the receipt is written", || !receipts().is_empty());
    forge(&receipts()[0], |json| {
        let uri = format!("file://{}", victim.display());
        json["parts"][0]["handle"]["uri"] = uri.into();
    })?;
    scheduler.thaw()?;
    let answer = load.wait()?.expect_code(5);
    let error = answer.json()["periods"][0]["error"].clone();
    assert_eq!(error["code"], "out_of_bounds", "{}", answer.stdout);
    assert_eq!(fs::read_to_string(&victim)?, "the user's own\n");
    assert!(rows::objects(&setup.workspace.lake()).is_empty());
    Ok(())
}
