// Package replay holds the tests that type recorded editing sessions again: by
// native peers, as operations, through a relay to other native peers and to stock
// automerge-repo clients. They see what users see, heads and text, and print what
// it took. Their short forms run by default; SYNCLINE_FULL=1 types the whole of
// each trace and needs -timeout 60m. Figures are for runs without -race.
package replay
