"""What the pages' addresses answer: each handler reads, or queues; none calls a
provider."""
