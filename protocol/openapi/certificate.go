package openapi

import (
	"bytes"
	"crypto/md5"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
	"time"
)

// CertSN names a certificate in an envelope (app_cert_sn, alipay_cert_sn, alipay_root_cert_sn): lower-case
// hex, and _ between several.
type CertSN string

// Certificate is an X.509 certificate of certificate mode (公钥证书模式, gateway-facts §2) over an RSA key. That it
// was read says nothing of who issued it: see IssuedBy.
type Certificate struct{ cert *x509.Certificate }

// ParseCertificate reads one certificate: PEM, or the base64 of its DER.
func ParseCertificate(text string) (Certificate, error) {
	der, err := keyDER(text, "CERTIFICATE")
	if err != nil {
		return Certificate{}, fmt.Errorf("openapi: certificate: %w", err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return Certificate{}, errors.New("openapi: certificate: not an X.509 certificate")
	}
	key, isRSA := cert.PublicKey.(*rsa.PublicKey)
	if !isRSA {
		return Certificate{}, errors.New("openapi: certificate: its key is not an RSA key")
	}
	return Certificate{cert}, checkKey(key)
}

// SN is MD5 over the issuer's name, the most particular part first, and the serial number in decimal. MD5
// names the certificate here and protects nothing: issuer and serial are chosen by the authority.
func (c Certificate) SN() CertSN {
	digest := md5.Sum([]byte(issuerName(c.cert) + c.cert.SerialNumber.String()))
	return CertSN(hex.EncodeToString(digest[:]))
}

func issuerName(cert *x509.Certificate) string {
	var name pkix.RDNSequence
	if rest, err := asn1.Unmarshal(cert.RawIssuer, &name); err != nil || len(rest) > 0 {
		return cert.Issuer.String()
	}
	return name.String()
}

// RootSN names a bundle of root certificates: the SNs of those that are signed with RSA.
func RootSN(bundle ...Certificate) CertSN {
	var sns []string
	for _, root := range bundle {
		switch root.cert.SignatureAlgorithm {
		case x509.SHA1WithRSA, x509.SHA256WithRSA, x509.SHA384WithRSA, x509.SHA512WithRSA:
			sns = append(sns, string(root.SN()))
		}
	}
	return CertSN(strings.Join(sns, "_"))
}

// Key is the key that the certificate is over.
func (c Certificate) Key() *rsa.PublicKey { return c.cert.PublicKey.(*rsa.PublicKey) }

// Subject names the holder: an app id, for the certificate of an app.
func (c Certificate) Subject() string { return c.cert.Subject.CommonName }

// NotAfter is the last moment at which it holds.
func (c Certificate) NotAfter() time.Time { return c.cert.NotAfter }

// HoldsAt tells whether now is within its term.
func (c Certificate) HoldsAt(now time.Time) bool {
	return !now.Before(c.cert.NotBefore) && !now.After(c.cert.NotAfter)
}

// IssuedBy is nil when root signed the certificate and root may.
func (c Certificate) IssuedBy(root Certificate) error {
	if !root.cert.IsCA || !bytes.Equal(c.cert.RawIssuer, root.cert.RawSubject) {
		return errors.New("openapi: certificate: another authority has issued it")
	}
	if err := c.cert.CheckSignatureFrom(root.cert); err != nil {
		return errors.New("openapi: certificate: it is not signed by its authority")
	}
	return nil
}

// PEM is the certificate as files hold it.
func (c Certificate) PEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.cert.Raw})
}

// Bare is one line of base64, as settings hold it.
func (c Certificate) Bare() string { return base64.StdEncoding.EncodeToString(c.cert.Raw) }
