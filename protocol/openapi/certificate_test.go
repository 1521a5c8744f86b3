package openapi_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/md5"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/shuama/shuama/protocol/openapi"
)

var (
	rootKey   = sync.OnceValue(newRSA)
	holderKey = sync.OnceValue(newRSA)
)

func newRSA() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, openapi.MinKeyBits)
	if err != nil {
		panic(err)
	}
	return key
}

func authority(t testing.TB) *openapi.Authority {
	t.Helper()
	made, err := openapi.NewAuthority("Shuama Root 1.0-test", rootKey(), noon())
	if err != nil {
		t.Fatal(err)
	}
	return made
}

func issued(t testing.TB, a *openapi.Authority, subject string) openapi.Certificate {
	t.Helper()
	certificate, err := a.Issue(subject, &holderKey().PublicKey, noon())
	if err != nil {
		t.Fatal(err)
	}
	return certificate
}

// OpenSSL reads issuer and serial number; the SN follows from what it says.
func TestCertSNAgreesWithOpenSSL(t *testing.T) {
	for range 5 { // serial numbers of several lengths
		certificate := issued(t, authority(t), "2021000000000001")
		path := filepath.Join(t.TempDir(), "app.crt")
		if err := os.WriteFile(path, certificate.PEM(), 0o600); err != nil {
			t.Fatal(err)
		}
		output, err := exec.Command("openssl", "x509", "-in", path, "-noout", "-issuer", "-serial", "-nameopt", "RFC2253").CombinedOutput()
		if err != nil {
			t.Fatalf("openssl (apt-get install openssl): %v: %s", err, output)
		}
		var issuer string
		serial := new(big.Int)
		for line := range strings.Lines(string(output)) {
			line = strings.TrimSpace(line)
			if rest, is := strings.CutPrefix(line, "issuer="); is {
				issuer = strings.TrimSpace(rest)
			}
			if rest, is := strings.CutPrefix(line, "serial="); is {
				serial.SetString(rest, 16)
			}
		}
		digest := md5.Sum([]byte(issuer + serial.String()))
		if issuer != "CN=Shuama Root 1.0-test,O=Shuama,C=CN" || string(certificate.SN()) != hex.EncodeToString(digest[:]) {
			t.Errorf("issuer %q, SN %s, want %x", issuer, certificate.SN(), digest)
		}
	}
}

// A client with OpenSSL finds the chain good; so do we, and nothing else.
func TestIssuedBy(t *testing.T) {
	a := authority(t)
	certificate := issued(t, a, "app")
	dir := t.TempDir()
	for name, content := range map[string][]byte{"root.crt": a.Root().PEM(), "app.crt": certificate.PEM()} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	command := exec.Command("openssl", "verify", "-x509_strict", "-no_check_time", "-CAfile", "root.crt", "app.crt")
	command.Dir = dir
	if output, err := command.CombinedOutput(); err != nil {
		t.Errorf("openssl: %v: %s", err, output)
	}
	if err := certificate.IssuedBy(a.Root()); err != nil {
		t.Error(err)
	}
	other := authority(t) // the same name and key, another serial number: it may vouch
	if err := certificate.IssuedBy(other.Root()); err != nil {
		t.Error(err)
	}
	stranger, err := openapi.NewAuthority("Shuama Root 1.0-test", holderKey(), noon())
	if err != nil {
		t.Fatal(err)
	}
	for name, root := range map[string]openapi.Certificate{"an authority of the same name": stranger.Root(), "itself": certificate} {
		if certificate.IssuedBy(root) == nil {
			t.Errorf("issued by %s", name)
		}
	}
	if issued(t, a, "app").SN() == certificate.SN() {
		t.Error("two certificates have one name")
	}
}

// Each bit of a certificate, flipped, leaves nothing that the authority has signed.
func TestCertificateBits(t *testing.T) {
	a := authority(t)
	block, _ := pem.Decode(issued(t, a, "app").PEM())
	for i := range block.Bytes {
		for bit := range 8 {
			bad := append([]byte(nil), block.Bytes...)
			bad[i] ^= 1 << bit
			certificate, err := openapi.ParseCertificate(string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: bad})))
			if err == nil && certificate.IssuedBy(a.Root()) == nil {
				t.Fatalf("byte %d, bit %d: still issued", i, bit)
			}
		}
	}
}

func TestCertificateTerm(t *testing.T) {
	certificate := issued(t, authority(t), "app")
	for offset, want := range map[time.Duration]bool{0: true, -time.Hour: true, -time.Hour - time.Second: false,
		5 * 365 * 24 * time.Hour: true, 5*365*24*time.Hour + time.Second: false} {
		if got := certificate.HoldsAt(noon().Add(offset)); got != want {
			t.Errorf("at %s: %v", offset, got)
		}
	}
	if certificate.Subject() != "app" || !certificate.NotAfter().Equal(noon().AddDate(0, 0, 5*365)) {
		t.Errorf("%s until %s", certificate.Subject(), certificate.NotAfter())
	}
}

func TestRootSN(t *testing.T) {
	one, two := authority(t).Root(), authority(t).Root()
	if got := openapi.RootSN(one, two); got != one.SN()+"_"+two.SN() {
		t.Errorf("got %s", got)
	}
	if got := openapi.RootSN(one); got != one.SN() {
		t.Errorf("got %s", got)
	}
}

func TestAuthorityIsTakenUpAgain(t *testing.T) {
	a := authority(t)
	root, err := openapi.ParseCertificate(string(a.Root().PEM()))
	if err != nil {
		t.Fatal(err)
	}
	again, err := openapi.OpenAuthority(root, rootKey())
	if err != nil {
		t.Fatal(err)
	}
	if err := issued(t, again, "app").IssuedBy(a.Root()); err != nil {
		t.Error(err)
	}
	if _, err := openapi.OpenAuthority(root, holderKey()); err == nil {
		t.Error("took another's key")
	}
	if _, err := openapi.OpenAuthority(issued(t, a, "app"), holderKey()); err == nil {
		t.Error("a certificate that is no authority's issues others")
	}
	bare, err := openapi.ParseCertificate(root.Bare())
	if err != nil || bare.SN() != root.SN() {
		t.Errorf("bare: %v", err)
	}
	for _, name := range []string{"", " a", "a ", "a,b", "a=b", "a+b", "a\nb", "中文", `a\b`, strings.Repeat("x", 65)} {
		if _, err := openapi.NewAuthority(name, rootKey(), noon()); err == nil {
			t.Errorf("took the name %q, which clients would write in several ways", name)
		}
		if _, err := a.Issue(name, &holderKey().PublicKey, noon()); err == nil {
			t.Errorf("issued to %q", name)
		}
	}
}

func TestParseCertificateRefuses(t *testing.T) {
	elliptic256, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "x"}, NotAfter: noon()}
	notRSA, err := x509.CreateCertificate(rand.Reader, template, template, elliptic256.Public(), elliptic256)
	if err != nil {
		t.Fatal(err)
	}
	good := string(authority(t).Root().PEM())
	for name, text := range map[string]string{"nothing": "", "no base64": "MII!", "a key": strings.ReplaceAll(good, "CERTIFICATE", "PUBLIC KEY"),
		"two": good + good, "cut": good[:len(good)/2], "not RSA": string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: notRSA}))} {
		if _, err := openapi.ParseCertificate(text); err == nil {
			t.Errorf("took %s", name)
		}
	}
}

// A merchant makes its key and its request with OpenSSL, and keeps the key.
func TestParseCertRequest(t *testing.T) {
	dir := t.TempDir()
	run := func(args ...string) []byte {
		t.Helper()
		command := exec.Command("openssl", args...)
		command.Dir = dir
		output, err := command.CombinedOutput()
		if err != nil {
			t.Fatalf("openssl %v: %v: %s", args, err, output)
		}
		return output
	}
	run("req", "-new", "-newkey", "rsa:2048", "-nodes", "-keyout", "app.key", "-subj", "/CN=whoever", "-out", "app.csr")
	text, err := os.ReadFile(filepath.Join(dir, "app.csr"))
	if err != nil {
		t.Fatal(err)
	}
	public, err := openapi.ParseCertRequest(string(text))
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := authority(t).Issue("2021000000000001", public, noon())
	if err != nil || certificate.Subject() != "2021000000000001" {
		t.Errorf("%s, %v", certificate.Subject(), err)
	}
	block, _ := pem.Decode(text)
	block.Bytes[len(block.Bytes)-1] ^= 1
	for name, text := range map[string]string{"a signature that does not hold": string(pem.EncodeToMemory(block)), "nothing": "", "a certificate": string(certificate.PEM())} {
		if _, err := openapi.ParseCertRequest(text); err == nil {
			t.Errorf("took %s", name)
		}
	}
}

func FuzzParseCertificate(f *testing.F) {
	block, _ := pem.Decode(authority(f).Root().PEM())
	f.Add(block.Bytes)
	f.Fuzz(func(t *testing.T, der []byte) {
		certificate, err := openapi.ParseCertificate(string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
		if err != nil {
			return
		}
		if sn := certificate.SN(); len(sn) != 32 {
			t.Fatalf("SN %q", sn)
		}
		certificate.IssuedBy(certificate)
		openapi.RootSN(certificate)
	})
}
