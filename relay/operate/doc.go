// Package operate is what the operator of a relay sees: its metrics, its pages and
// its admin verbs over HTTP.
//
// It stands beside the way of a change, not on it. The relay counts in Metrics where
// things happen, remembers Refusals, and answers as a Source when somebody looks;
// Handler makes pages of that:
//
//	GET    /healthz               200 while the process answers
//	GET    /readyz                200 while the relay takes connections and stores
//	GET    /.well-known/syncline  Capabilities, for everybody and from any page
//	GET    /metrics               for Prometheus
//	GET    /status                a page for people; as JSON with ?json or Accept
//	GET    /admin/documents       as package admin has it; so are the next
//	GET    /admin/documents/ID
//	DELETE /admin/documents/ID
//
// The first three are for everybody, the others for whom Options.Allow lets in.
// Nothing here is told the content of a document, a token or a key.
//
// Metrics without syncline_relay_ in their name are shared with native peers and
// browsers, which have them under the same names with another role. No document,
// peer or account is a label: there is no bound to them.
package operate
