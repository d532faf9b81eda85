"""What people look at: the page, its pictures, the local server, rollout pages, version diffs."""
