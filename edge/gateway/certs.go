package gateway

import (
	"context"
	"encoding/base64"

	"github.com/shuama/shuama/protocol/openapi"
)

// Certificates are the platform's in certificate mode (gateway-facts §2).
type Certificates struct {
	platform           openapi.Certificate
	rootSN, platformSN openapi.CertSN
}

// NewCertificates takes the authority's certificate and the platform's own, which is over the key of
// Config.Signer.
func NewCertificates(root, platform openapi.Certificate) (*Certificates, error) {
	if err := platform.IssuedBy(root); err != nil {
		return nil, err
	}
	return &Certificates{platform: platform, rootSN: openapi.RootSN(root), platformSN: platform.SN()}, nil
}

// certDownload hands out the platform's certificate to a client that was answered under one that it does not
// have (gateway-facts §2). The client checks it against the root that it holds.
func (s *server) certDownload(_ context.Context, _ call, r openapi.CertDownloadRequest) (openapi.CertDownloadResponse, error) {
	certificates := s.Certificates()
	if certificates == nil {
		return openapi.CertDownloadResponse{}, errNotOpen()
	}
	if openapi.CertSN(r.CertSN) != certificates.platformSN {
		return openapi.CertDownloadResponse{}, openapi.Refuse(openapi.SubFail, "没有 alipay_cert_sn 所指的支付宝公钥证书")
	}
	return openapi.CertDownloadResponse{Content: base64.StdEncoding.EncodeToString(certificates.platform.PEM())}, nil
}
