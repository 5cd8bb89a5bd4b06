package access

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"syncline/crdt/id"
)

func TestGrantsAreTheWidestOfTheirRules(t *testing.T) {
	named := id.Document{0xa1, 0xb2, 0xc3, 15: 1}
	tests := []struct {
		name  string
		rules []Rule
		doc   id.Document
		want  Access
	}{
		{"nothing", nil, named, None},
		{"the document", []Rule{{string(named[:]), Read}}, named, Read},
		{"another document", []Rule{{string(named[:]), Write}}, id.Document{}, None},
		{"its prefix", []Rule{{"\xa1\xb2", Write}}, named, Write},
		{"another prefix", []Rule{{"\xa1\xb3", Write}}, named, None},
		{"every document", []Rule{{"", Read}}, named, Read},
		{"the widest, first", []Rule{{"\xa1", Write}, {string(named[:]), Read}}, named, Write},
		{"the widest, last", []Rule{{string(named[:]), Read}, {"\xa1", Write}}, named, Write},
		{"the widest of one document twice", []Rule{{string(named[:]), Write}, {string(named[:]), Read}}, named, Write},
		{"all but one read only", []Rule{{"", Read}, {string(named[:]), Write}}, id.Document{1}, Read},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := newGrant(Claims{Documents: tt.rules}).Document(tt.doc); got != tt.want {
				t.Errorf("granted %v, want %v", got, tt.want)
			}
		})
	}
}

func TestTheOpenGrantIsForDocumentsAndForEver(t *testing.T) {
	g := Open()
	if g.Document(id.NewDocument()) != Write || g.Admin || g.Account != "" || g.Expired(now.AddDate(900, 0, 0)) {
		t.Errorf("open: %+v", g)
	}
	if (Grant{}).Document(id.NewDocument()) != None {
		t.Error("the zero grant grants")
	}
}

func TestAGrantIsRenewedForItsAccountOnly(t *testing.T) {
	alice := Grant{Account: "alice"}
	if err := alice.Renew(Grant{Account: "alice", Admin: true}); err != nil {
		t.Error(err)
	}
	if err := alice.Renew(Grant{Account: "bob"}); !errors.Is(err, ErrUnauthorised) || strings.Contains(err.Error(), "bob") {
		t.Errorf("%v, want a refusal without names", err)
	}
}

// aClaims draws claims that are as they should be.
func aClaims() *rapid.Generator[Claims] {
	second := rapid.Custom(func(t *rapid.T) time.Time {
		return time.Unix(rapid.Int64Range(1, lastSecond).Draw(t, "seconds"), 0)
	})
	rule := rapid.Custom(func(t *rapid.T) Rule {
		raw := rapid.SliceOfN(rapid.Byte(), 0, 16).Draw(t, "prefix")
		return Rule{string(raw), rapid.SampledFrom([]Access{Read, Write}).Draw(t, "access")}
	})
	return rapid.Custom(func(t *rapid.T) Claims {
		c := Claims{
			Account:   rapid.StringMatching(`[ -~äöü€😀]{1,40}`).Draw(t, "account"),
			Audience:  rapid.SliceOfN(rapid.StringMatching(`[a-z.]{1,20}`), 1, 4).Draw(t, "audience"),
			Issuer:    rapid.StringMatching(`[a-z:/]{0,20}`).Draw(t, "issuer"),
			Expires:   second.Draw(t, "exp"),
			Documents: rapid.SliceOfN(rule, 1, 20).Draw(t, "rules"),
			Admin:     rapid.Bool().Draw(t, "admin"),
		}
		if rapid.Bool().Draw(t, "dated") {
			c.NotBefore, c.IssuedAt = second.Draw(t, "nbf"), second.Draw(t, "iat")
		}
		return c
	})
}

func TestClaimsAreReadAsTheyAreWritten(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := aClaims().Draw(t, "claims")
		b, err := json.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		got, err := parseClaims(b)
		if err != nil {
			t.Fatalf("%s: %v", b, err)
		}
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("%+v came back as %+v", want, got)
		}
	})
}

func TestAGrantSaysWhatItsRulesSay(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := aClaims().Draw(t, "claims")
		g := newGrant(c)
		// A document that a rule may be about, and one that is about nothing.
		near := rapid.SampledFrom(c.Documents).Draw(t, "near").Prefix
		for _, doc := range []id.Document{id.Document([]byte((near + strings.Repeat("\x00", 16))[:16])), id.NewDocument()} {
			want := None
			for _, r := range c.Documents {
				if strings.HasPrefix(string(doc[:]), r.Prefix) {
					want = max(want, r.Access)
				}
			}
			if got := g.Document(doc); got != want {
				t.Fatalf("%v for %v, want %v", got, doc, want)
			}
		}
	})
}
