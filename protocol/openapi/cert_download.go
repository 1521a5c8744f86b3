package openapi

// CertDownloadRequest asks for the platform's certificate, as two published clients do when an answer names
// one that they do not have (gateway-facts §2).
type CertDownloadRequest struct{ CertSN string }

// CertDownloadResponse is the certificate: PEM in base64.
type CertDownloadResponse struct{ Content string }

// CertDownload is 应用支付宝公钥证书下载, gateway-facts §2.
func CertDownload() Codec[CertDownloadRequest, CertDownloadResponse] {
	return Codec[CertDownloadRequest, CertDownloadResponse]{
		Method: MethodCertDownload, Title: "应用支付宝公钥证书下载",
		request:  message[CertDownloadRequest]{clause: clauseEnvelope, tell: (*CertDownloadRequest).tell},
		response: message[CertDownloadResponse]{clause: clauseEnvelope, tell: (*CertDownloadResponse).tell},
	}
}

func (r *CertDownloadRequest) tell(d members) {
	d.text(need("alipay_cert_sn", 64, "支付宝公钥证书序列号"), &r.CertSN)
}

func (r *CertDownloadResponse) tell(d members) {
	d.text(need("alipay_cert_content", 32768, "支付宝公钥证书，PEM 的 Base64"), &r.Content)
}
