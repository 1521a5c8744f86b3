package gateway

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/shuama/shuama/protocol/openapi"
	"github.com/shuama/shuama/role/payment"
)

// admit looks at what can be told before a signature is checked: the app's state, and where the call comes
// from. A stolen key is of no use elsewhere.
func (x *exchange) admit() error {
	if x.app.Disabled {
		return openapi.Refuse(openapi.SubInvalidAppState, "该应用已被平台停用，请联系平台")
	}
	inside := func(prefix netip.Prefix) bool { return prefix.Contains(x.address) }
	if len(x.app.Addresses) > 0 && !slices.ContainsFunc(x.app.Addresses, inside) {
		return openapi.Refuse(openapi.SubNotPermitted, "请求的来源地址不在该应用的服务器白名单中")
	}
	return nil
}

// signers are the keys under which the request may be signed. A request that names a certificate is held to
// it: a revoked one is no way in, and neither is its key in public key mode, which whoever registers apps sees
// to.
func (x *exchange) signers(now time.Time) (openapi.Verifier, error) {
	sn := x.request.CertSN()
	if sn != "" {
		return x.certified(sn, now)
	}
	keys := x.app.keys(now)
	switch {
	case len(keys) > 0:
		return keys, nil
	case len(x.app.Certificates) > 0:
		return nil, openapi.Refuse(openapi.SubMissingSignatureKey, "该应用使用证书模式，请在请求中加上 app_cert_sn")
	}
	return nil, openapi.Refuse(openapi.SubNoSignatureConfig, "请先在本平台登记应用公钥")
}

func (x *exchange) certified(sn openapi.CertSN, now time.Time) (openapi.Verifier, error) {
	rootSN, certificates := x.request.RootCertSN(), x.Certificates()
	at := slices.IndexFunc(x.app.Certificates, func(c AppCertificate) bool { return c.sn == sn })
	switch {
	case certificates == nil || at < 0:
		return nil, openapi.Refuse(openapi.SubNoSignatureConfig, "该应用没有 app_cert_sn 所指的证书，请使用平台签发给该应用的证书")
	case rootSN == "":
		return nil, openapi.Refuse(openapi.SubMissingSignatureKey, "请在请求中加上 alipay_root_cert_sn")
	case rootSN != certificates.rootSN:
		return nil, openapi.Refuse(openapi.SubInvalidParameter, "alipay_root_cert_sn 不是本平台的根证书，请使用平台下发的根证书")
	case x.app.Certificates[at].revoked:
		return nil, openapi.Refuse(openapi.SubInvalidSignature, "app_cert_sn 所指的证书已吊销，请使用新证书")
	case !x.app.Certificates[at].certificate.HoldsAt(now):
		return nil, openapi.Refuse(openapi.SubInvalidSignature, "app_cert_sn 所指的证书不在有效期内，请使用新证书")
	}
	return openapi.NewPublicKey(x.app.Certificates[at].certificate.Key())
}

// limits count the calls of apps. Each server counts its own.
type limits struct {
	mutex    sync.Mutex
	limiters map[limitKey]*rate.Limiter
}

type limitKey struct {
	app    payment.AppID
	method openapi.Method // empty: of all its calls
}

// take counts one call that was signed by the app: nobody else can use up what it may.
func (l *limits) take(app App, method openapi.Method, now time.Time) error {
	if !l.allows(limitKey{app: app.ID}, app.Limit, now) {
		return openapi.Refuse(openapi.SubAppLimited, "请降低调用频率后以相同内容重试")
	}
	if !l.allows(limitKey{app.ID, method}, app.MethodLimits[method], now) {
		return openapi.Refuse(openapi.SubMethodLimited, "请降低对此接口的调用频率后以相同内容重试")
	}
	return nil
}

// allows keeps a limiter a limit, also over a change of it: apps and their methods are few.
func (l *limits) allows(key limitKey, limit Limit, now time.Time) bool {
	if limit.PerSec <= 0 {
		return true
	}
	l.mutex.Lock()
	defer l.mutex.Unlock()
	limiter := l.limiters[key]
	if limiter == nil {
		limiter = rate.NewLimiter(rate.Limit(limit.PerSec), limit.PerSec)
		l.limiters[key] = limiter
	}
	if limiter.Burst() != limit.PerSec {
		limiter.SetLimitAt(now, rate.Limit(limit.PerSec))
		limiter.SetBurstAt(now, limit.PerSec)
	}
	return limiter.AllowN(now, 1)
}

// addressOf is where a call comes from: the peer, or whom the last trusted proxy names. What stands further
// left in the header, anybody may have written.
func addressOf(r *http.Request, trusted []netip.Prefix) netip.Addr {
	address := addressIn(r.RemoteAddr)
	forwarded := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for i := len(forwarded) - 1; i >= 0; i-- {
		isTrusted := slices.ContainsFunc(trusted, func(prefix netip.Prefix) bool { return prefix.Contains(address) })
		before := addressIn(strings.TrimSpace(forwarded[i]))
		if !isTrusted || !before.IsValid() {
			break
		}
		address = before
	}
	return address
}

func addressIn(text string) netip.Addr {
	if withPort, err := netip.ParseAddrPort(text); err == nil {
		return withPort.Addr().Unmap().WithZone("")
	}
	address, err := netip.ParseAddr(text)
	if err != nil {
		return netip.Addr{}
	}
	return address.Unmap().WithZone("")
}
