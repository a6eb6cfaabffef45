"""What a browser may load and do on our pages."""

SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
"""All that the pages need: nothing inline, nothing from elsewhere."""

#: A machine's own mouse pointer is drawn in the page and set as `data:`.
CONSOLE_POLICY = SECURITY_POLICY.replace("img-src 'self'", "img-src 'self' data:")
