package access

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/MicahParks/jwkset"
	"github.com/golang-jwt/jwt/v5"

	"syncline/relay/wire"
)

const (
	// maxKeyBytes bounds a file or an answer with keys: 64 RSA keys with the
	// certificates that some publish beside them.
	maxKeyBytes = 256 << 10
	// maxKeys bounds the keys in it. An issuer has two or three at a time.
	maxKeys = 64

	// RSA keys below are too weak, and those above take too long to verify.
	minRSABits, maxRSABits = 2048, 8192
)

// publicKey is a key with its name and the one algorithm that it is used with.
type publicKey struct {
	name   string
	key    crypto.PublicKey
	method jwt.SigningMethod
}

// keySet are the keys that count, by name.
type keySet map[string]publicKey

var (
	errUnknownKey = errors.New("the access token names a key that is not known here")
	errWhichKey   = errors.New("the access token names no key (kid), and there are several")
)

// find returns the key that a token names, or the only one if it names none.
func (s keySet) find(name string) (publicKey, error) {
	if name == "" {
		for _, k := range s {
			if len(s) == 1 {
				return k, nil
			}
			return publicKey{}, errWhichKey
		}
		return publicKey{}, errUnknownKey
	}
	if k, ok := s[name]; ok {
		return k, nil
	}
	return publicKey{}, errUnknownKey
}

// pin gives a key its algorithm. Without a name it is called by its thumbprint.
func pin(name string, key crypto.PublicKey) (publicKey, error) {
	k := publicKey{name: name, key: key}
	switch key := key.(type) {
	case ed25519.PublicKey:
		k.method = jwt.SigningMethodEdDSA
	case *ecdsa.PublicKey:
		if key.Curve != elliptic.P256() {
			return k, fmt.Errorf("it is on the curve %s, and only P-256 is used (%s)", key.Curve.Params().Name, ES256)
		}
		k.method = jwt.SigningMethodES256
	case *rsa.PublicKey:
		if n := key.N.BitLen(); n < minRSABits || n > maxRSABits {
			return k, fmt.Errorf("it is an RSA key of %d bits, and those used have %d to %d", n, minRSABits, maxRSABits)
		}
		k.method = jwt.SigningMethodRS256
	default:
		return k, fmt.Errorf("it is a %T, and only Ed25519, P-256 and RSA keys are used", key)
	}
	if name == "" {
		m, err := marshalKey(k)
		if err != nil {
			return k, err
		}
		k.name = thumbprint(m)
	}
	return k, nil
}

// marshalKey writes a key as a JWK.
func marshalKey(k publicKey) (jwkset.JWKMarshal, error) {
	j, err := jwkset.NewJWKFromKey(k.key, jwkset.JWKOptions{Metadata: jwkset.JWKMetadataOptions{
		ALG: jwkset.ALG(k.method.Alg()), KID: k.name, USE: jwkset.UseSig,
	}})
	return j.Marshal(), err
}

// thumbprint is the name that RFC 7638 derives from a key, so that it is the same
// whoever derives it.
func thumbprint(m jwkset.JWKMarshal) string {
	var members string
	switch m.KTY {
	case jwkset.KtyOKP:
		members = fmt.Sprintf(`{"crv":%q,"kty":"OKP","x":%q}`, m.CRV, m.X)
	case jwkset.KtyEC:
		members = fmt.Sprintf(`{"crv":%q,"kty":"EC","x":%q,"y":%q}`, m.CRV, m.X, m.Y)
	case jwkset.KtyRSA:
		members = fmt.Sprintf(`{"e":%q,"kty":"RSA","n":%q}`, m.E, m.N)
	}
	sum := sha256.Sum256([]byte(members))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

const pemBegin = "-----BEGIN "

// parseKeys reads PEM or a JWKS. skipped says which keys of a JWKS are not used,
// and why: issuers list keys for other purposes beside those for signatures.
func parseKeys(b []byte) (set keySet, skipped []string, err error) {
	if len(b) > maxKeyBytes {
		return nil, nil, fmt.Errorf("it has more than %d bytes", maxKeyBytes)
	}
	if bytes.Contains(b, []byte(pemBegin)) {
		set, err = parsePEM(b)
		return set, nil, err
	}
	return parseJWKS(b)
}

func parsePEM(b []byte) (keySet, error) {
	set := make(keySet)
	for {
		var block *pem.Block
		if block, b = pem.Decode(b); block == nil {
			break
		}
		var key crypto.PublicKey
		var err error
		switch {
		case block.Type == "PUBLIC KEY":
			key, err = x509.ParsePKIXPublicKey(block.Bytes)
		case block.Type == "RSA PUBLIC KEY":
			key, err = x509.ParsePKCS1PublicKey(block.Bytes)
		case strings.HasSuffix(block.Type, "PRIVATE KEY"):
			return nil, errors.New("it holds a private key, which belongs to whoever signs tokens; give the public key or the JWKS beside it")
		default:
			return nil, fmt.Errorf("it holds a %.40q, and only public keys are used", block.Type)
		}
		if err != nil {
			return nil, fmt.Errorf("a public key in it cannot be read: %w", err)
		}
		k, err := pin("", key)
		if err != nil {
			return nil, fmt.Errorf("a public key in it cannot be used: %w", err)
		}
		if set[k.name] = k; len(set) > maxKeys {
			return nil, fmt.Errorf("it holds more than %d keys", maxKeys)
		}
	}
	if bytes.Contains(b, []byte(pemBegin)) {
		return nil, errors.New("the last key in it is cut short")
	}
	return set, nil
}

func parseJWKS(b []byte) (set keySet, skipped []string, err error) {
	var doc struct {
		Keys *[]json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(b, &doc); err != nil || doc.Keys == nil {
		return nil, nil, errors.New("it holds neither public keys in PEM nor a JWKS")
	}
	if len(*doc.Keys) > maxKeys {
		return nil, nil, fmt.Errorf("it lists more than %d keys", maxKeys)
	}
	set = make(keySet)
	for i, raw := range *doc.Keys {
		k, err := parseJWK(raw)
		if err == nil {
			if _, twice := set[k.name]; !twice {
				set[k.name] = k
				continue
			}
			err = errors.New("another before it has the same name")
		}
		skipped = append(skipped, fmt.Sprintf("keys[%d] is not used: %v", i, err))
	}
	// An empty list is how an issuer takes back all of its keys.
	if len(set) == 0 && len(*doc.Keys) > 0 {
		return nil, nil, fmt.Errorf("none of its keys can be used: %s", skipped[0])
	}
	return set, skipped, nil
}

func parseJWK(raw json.RawMessage) (publicKey, error) {
	var m jwkset.JWKMarshal
	if err := json.Unmarshal(raw, &m); err != nil {
		return publicKey{}, errors.New("it is not a key in JSON")
	}
	switch {
	case m.KTY == jwkset.KtyOct || m.K != "":
		return publicKey{}, errors.New("it is a shared secret")
	case m.D != "":
		return publicKey{}, errors.New("it is a private key, which is none any more")
	case m.USE != "" && m.USE != jwkset.UseSig:
		return publicKey{}, errors.New("it is not for signatures (use)")
	case len(m.KEYOPS) > 0 && !slices.Contains(m.KEYOPS, jwkset.KeyOpsVerify):
		return publicKey{}, errors.New("it is not to verify with (key_ops)")
	case len(m.KID) > wire.MaxName:
		return publicKey{}, fmt.Errorf("its kid has more than %d bytes", wire.MaxName)
	}
	// Only what makes the key: no certificates are parsed, no addresses followed.
	j, err := jwkset.NewJWKFromMarshal(jwkset.JWKMarshal{
		KTY: m.KTY, CRV: m.CRV, X: m.X, Y: m.Y, N: m.N, E: m.E,
	}, jwkset.JWKMarshalOptions{}, jwkset.JWKValidateOptions{})
	if err != nil {
		return publicKey{}, err
	}
	k, err := pin(m.KID, j.Key())
	if err != nil {
		return publicKey{}, err
	}
	if m.ALG != "" && string(m.ALG) != k.method.Alg() {
		return publicKey{}, fmt.Errorf("its alg is not %s, the one for keys of its kind", k.method.Alg())
	}
	return k, nil
}
