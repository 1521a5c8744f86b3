package openapi

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"math/big"
	"time"

	"github.com/shuama/shuama/protocol/form"
)

// Authority issues the certificates of certificate mode (gateway-facts §2): those of apps, and the platform's own.
type Authority struct {
	root Certificate
	key  crypto.Signer
}

// Terms of what an authority signs.
const (
	rootYears  = 30
	certDays   = 5 * 365
	backdating = time.Hour // clocks of merchants differ
)

// NewAuthority makes an authority with a certificate of its own. Its name is letters, digits, spaces, points and
// hyphens: clients write the names of issuers in several ways, and these in one.
func NewAuthority(name string, key crypto.Signer, now time.Time) (*Authority, error) {
	if err := checkSubject(name); err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		Subject: subjectOf(name), NotBefore: now.Add(-backdating).UTC(), NotAfter: now.AddDate(rootYears, 0, 0).UTC(),
		IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	root, err := sign(template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	return OpenAuthority(root, key)
}

// OpenAuthority takes an authority up again: its certificate, and the key that belongs to it.
func OpenAuthority(root Certificate, key crypto.Signer) (*Authority, error) {
	public, isRSA := key.Public().(*rsa.PublicKey)
	if !isRSA || !public.Equal(root.cert.PublicKey) || !root.cert.IsCA {
		return nil, errors.New("openapi: authority: the key and the certificate do not belong together")
	}
	return &Authority{root: root, key: key}, nil
}

// Root is the authority's own certificate, which clients hold.
func (a *Authority) Root() Certificate { return a.root }

// Issue makes a certificate for subject, an app id or the platform's name, over a public key.
func (a *Authority) Issue(subject string, public *rsa.PublicKey, now time.Time) (Certificate, error) {
	if err := checkSubject(subject); err != nil {
		return Certificate{}, err
	}
	if err := checkKey(public); err != nil {
		return Certificate{}, err
	}
	return sign(&x509.Certificate{
		Subject: subjectOf(subject), NotBefore: now.Add(-backdating).UTC(), NotAfter: now.AddDate(0, 0, certDays).UTC(),
		BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature,
	}, a.root.cert, public, a.key)
}

func sign(template, parent *x509.Certificate, public crypto.PublicKey, key crypto.Signer) (Certificate, error) {
	var err error
	if template.SerialNumber, err = newSerial(rand.Reader); err != nil {
		return Certificate{}, err
	}
	template.SignatureAlgorithm = x509.SHA256WithRSA
	der, err := x509.CreateCertificate(rand.Reader, template, parent, public, key)
	if err != nil {
		return Certificate{}, fmt.Errorf("openapi: authority: %w", err)
	}
	cert, err := x509.ParseCertificate(der)
	return Certificate{cert}, err
}

// newSerial draws 127 bits: no two certificates of an authority share a number.
func newSerial(random io.Reader) (*big.Int, error) {
	b := make([]byte, 16)
	if _, err := io.ReadFull(random, b); err != nil {
		return nil, err
	}
	b[0] = b[0]&0x7f | 0x40
	return new(big.Int).SetBytes(b), nil
}

// subjectOf is the order that every client reads alike: country, organisation, name.
func subjectOf(name string) pkix.Name {
	return pkix.Name{Country: []string{"CN"}, Organization: []string{"Shuama"}, CommonName: name}
}

func checkSubject(name string) error {
	for _, c := range []byte(name) {
		if !form.IsAlphanumeric(string(c)) && c != ' ' && c != '.' && c != '-' && c != '_' {
			return errors.New("openapi: authority: a name has letters, digits, spaces, points and hyphens")
		}
	}
	if name == "" || len(name) > 64 || name[0] == ' ' || name[len(name)-1] == ' ' {
		return errors.New("openapi: authority: a name has 1 to 64 characters, without space around them")
	}
	return nil
}

// ParseCertRequest reads a certificate request (CSR), PEM, and checks that who made it has the key.
func ParseCertRequest(text string) (*rsa.PublicKey, error) {
	der, err := keyDER(text, "CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST")
	if err != nil {
		return nil, fmt.Errorf("openapi: certificate request: %w", err)
	}
	request, err := x509.ParseCertificateRequest(der)
	if err != nil {
		return nil, errors.New("openapi: certificate request: not PKCS#10")
	}
	public, isRSA := request.PublicKey.(*rsa.PublicKey)
	if !isRSA || request.CheckSignature() != nil {
		return nil, errors.New("openapi: certificate request: not signed by the RSA key that it is about")
	}
	return public, checkKey(public)
}
