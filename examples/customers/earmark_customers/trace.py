"""The header that tells a provider's own log which placeholder a request belongs to."""

#: Carries our token in every changing request. No promise depends on it.
TRACE = "X-Request-Id"
