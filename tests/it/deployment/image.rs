//! The Dockerfile.

use super::text;

#[test]
fn the_image_is_labelled_with_the_packages_own_version_description_and_licence() {
    let file = text("Dockerfile.multitenant");
    for line in [
        format!("ARG VERSION={}", env!("CARGO_PKG_VERSION")),
        format!("org.opencontainers.image.description=\"{}\"", env!("CARGO_PKG_DESCRIPTION")),
        format!("org.opencontainers.image.licenses=\"{}\"", env!("CARGO_PKG_LICENSE")),
    ] {
        assert!(file.contains(&line), "{line} is not in the Dockerfile");
    }
}

#[test]
fn no_file_of_the_environment_goes_to_the_builder() {
    let ignored = text(".dockerignore");
    let mut rules = ignored.lines().filter(|line| !line.starts_with('#'));
    assert_eq!(rules.next(), Some("*"));
    assert!(rules.all(|rule| rule.starts_with('!') && !rule.contains(".env") && !rule.contains("secret")));
}
