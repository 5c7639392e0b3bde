"""The same verbs over HTTP, for machines that hold a token and no passwords."""
