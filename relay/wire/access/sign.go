package access

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"

	"syncline/relay/wire"
)

// SigningKey makes tokens. A relay has no use for one: it has public keys.
type SigningKey struct {
	private crypto.Signer
	public  publicKey
}

// rsaBits is the size of RSA keys made here.
const rsaBits = 3072

// GenerateKey makes a key for an algorithm.
func GenerateKey(algorithm string) (*SigningKey, error) {
	var private crypto.Signer
	var err error
	switch algorithm {
	case EdDSA:
		_, private, err = ed25519.GenerateKey(rand.Reader)
	case ES256:
		private, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case RS256:
		private, err = rsa.GenerateKey(rand.Reader, rsaBits)
	default:
		return nil, fmt.Errorf("algorithm %.40q: choose %s, %s or %s", algorithm, EdDSA, ES256, RS256)
	}
	if err != nil {
		return nil, err
	}
	return newSigningKey(private)
}

func newSigningKey(private crypto.Signer) (*SigningKey, error) {
	public, err := pin("", private.Public())
	if err != nil {
		return nil, fmt.Errorf("the key cannot be used: %w", err)
	}
	return &SigningKey{private, public}, nil
}

// ParseSigningKey reads a private key in PEM.
func ParseSigningKey(b []byte) (*SigningKey, error) {
	block, _ := pem.Decode(b)
	if block == nil {
		return nil, errors.New("it holds no key in PEM")
	}
	var private any
	var err error
	switch block.Type {
	case "PRIVATE KEY":
		private, err = x509.ParsePKCS8PrivateKey(block.Bytes)
	case "EC PRIVATE KEY":
		private, err = x509.ParseECPrivateKey(block.Bytes)
	case "RSA PRIVATE KEY":
		private, err = x509.ParsePKCS1PrivateKey(block.Bytes)
	default:
		return nil, fmt.Errorf("it holds a %.40q and not a private key", block.Type)
	}
	if err != nil {
		return nil, errors.New("the private key in it cannot be read")
	}
	signer, ok := private.(crypto.Signer)
	if !ok {
		return nil, errors.New("the private key in it cannot sign")
	}
	return newSigningKey(signer)
}

// Name is the key's thumbprint, the kid of the tokens that it signs.
func (k *SigningKey) Name() string { return k.public.name }

// Algorithm is the one that the key is used with.
func (k *SigningKey) Algorithm() string { return k.public.method.Alg() }

// PEM is the private key.
func (k *SigningKey) PEM() ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(k.private)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}

// AddTo adds the public key to a JWKS, whose other keys stay as they are; nil is
// one without keys.
func (k *SigningKey) AddTo(jwks []byte) ([]byte, error) {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if jwks != nil {
		known, _, err := parseJWKS(jwks)
		if err != nil {
			return nil, err
		}
		if _, ok := known[k.Name()]; ok {
			return jwks, nil
		}
		if err := json.Unmarshal(jwks, &set); err != nil {
			return nil, err
		}
	}
	m, err := marshalKey(k.public)
	if err != nil {
		return nil, err
	}
	one, err := json.Marshal(m)
	if err != nil {
		return nil, err
	}
	set.Keys = append(set.Keys, one)
	out, err := json.MarshalIndent(set, "", "  ")
	return append(out, '\n'), err
}

// Sign makes a token. Claims that a server would refuse are refused here, with the
// reason that it would give.
func (k *SigningKey) Sign(c Claims) (string, error) {
	payload, err := json.Marshal(c)
	if err != nil {
		return "", err
	}
	if _, err := parseClaims(payload); err != nil {
		return "", fmt.Errorf("a server would refuse the token: %w", err)
	}
	header, err := json.Marshal(map[string]string{"alg": k.Algorithm(), "kid": k.Name(), "typ": "JWT"})
	if err != nil {
		return "", err
	}
	signed := bytes.Join([][]byte{encodePart(header), encodePart(payload)}, []byte("."))
	signature, err := k.public.method.Sign(string(signed), k.private)
	if err != nil {
		return "", err
	}
	token := string(signed) + "." + string(encodePart(signature))
	if len(token) > wire.MaxToken {
		return "", fmt.Errorf("the token has %d bytes, and relays take %d at most: grant a prefix in place of many ids", len(token), wire.MaxToken)
	}
	return token, nil
}

func encodePart(b []byte) []byte {
	return base64.RawURLEncoding.AppendEncode(nil, b)
}
