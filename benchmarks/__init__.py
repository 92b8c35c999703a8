"""Speed and memory of jupyter_launch, each figure beside a peer measured in the same run."""
