//! What `doctor` tells of a machine and of a cluster.

use tests::Lab;

#[test]
fn doctor_says_that_a_cluster_cannot_be_reached() -> anyhow::Result<()> {
    let lab = Lab::new()?;
    for more in [vec![], vec!["--output", "lake"]] {
        let doctor = lab.lakebolt()?.args(["doctor", "--cluster", "127.0.0.1:1"]);
        let answer = doctor.args(more).args(["--format", "json"]).run()?;
        let told = answer.expect_code(4).json();
        let checks = told["checks"].as_array().cloned().unwrap_or_default();
        let of = |name: &str| checks.iter().find(|check| check["check"] == name);
        let cluster = of("cluster").expect("it is checked");
        assert_eq!(cluster["state"], "fail");
        assert_eq!(cluster["target"], "127.0.0.1:1");
        let message = cluster["message"].as_str().unwrap_or_default();
        assert!(message.contains("cannot be reached"), "{cluster}");
        assert!(of("engine").is_none() && of("scratch").is_none(), "{told}");
    }
    Ok(())
}
