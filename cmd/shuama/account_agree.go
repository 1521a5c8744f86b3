package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/shuama/shuama/protocol/ridecode"
	"github.com/shuama/shuama/role/codeissuer"
)

type accountAgreeCommand struct {
	Dir      string `arg:"" help:"The city's folder." type:"existingdir"`
	User     string `arg:"" help:"The user's number."`
	CardType string `arg:"" help:"The card type." name:"card-type"`
	End      bool   `help:"End the agreement: the user's postpaid cards of this type get no further grant."`
	bookFlags
}

// Help shows how it is used.
func (accountAgreeCommand) Help() string {
	return `Riders sign up on the page that shuama serve shows (document 2 §4.3); this is for whoever signs at a counter.

Examples:
  shuama account agree city 2088000011112222 GJ310001
  shuama account agree city 2088000011112222 GJ310001 --end`
}

// Run signs, or ends.
func (c *accountAgreeCommand) Run(w *world) error {
	user, err := parseUser(c.User)
	if err != nil {
		return err
	}
	cardType := ridecode.CardType(c.CardType)
	return withBooks(w, c.Dir, c.bookFlags, func(_ *city, b *books) error {
		if c.End {
			return b.signed.End(w.context, user, cardType, w.now().UTC())
		}
		may, err := b.MayRide(w.context, user, w.now().UTC())
		if err != nil {
			return err
		}
		if !may {
			return errors.New("this user has no account, or owes: see shuama account open, and shuama account denied")
		}
		terms, _ := b.register.cardTerms(cardType)
		agreement, err := b.signed.Sign(w.context, newAgreementNumber(w.now()), user, cardType, terms.agreementText(), w.now())
		if errors.Is(err, codeissuer.ErrNoCardType) {
			return fmt.Errorf("%w: see shuama app card-type", err)
		}
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(w.stdout, "Agreement %s, signed %s.\n", agreement.Number, agreement.Signed.Format(time.RFC3339))
		return err
	})
}

// newAgreementNumber is the day and what nobody can guess.
func newAgreementNumber(now time.Time) string { return now.UTC().Format("20060102") + rand.Text() }

// agreementText is what riders sign up to: the merchant's text, or the platform's own.
func (t cardTermsSettings) agreementText() string {
	if t.Agreement != "" {
		return t.Agreement
	}
	return platformAgreement
}

// platformAgreement is shown where a merchant has registered no text of its own, first in Chinese and then in English.
const platformAgreement = `公交付款服务协议
一、您同意开通本卡的公交付款服务。您使用本卡二维码刷码乘车后，票款从您的支付账户中扣除，无需您逐笔确认。
二、乘车时手机与闸机均可不联网。请妥善保管手机；手机遗失时请立即挂失，挂失生效前的乘车由您承担。
三、账户余额不足时，由支付机构先行垫付，垫付款为您的欠款。欠款付清之前，本卡停止使用。
四、您可随时解约。解约之前的乘车仍按本协议扣款。

Transit payment agreement
1. You open transit payment for this card. After you ride with its code, the fare is taken from your payment account; you are not asked for each ride.
2. Phone and gate may both be offline when you ride. Keep your phone safe, and report it at once when it is lost: rides before the report takes effect are yours.
3. When your account has too little, the payment institution pays for you, and you owe it. Until it is paid, this card stops.
4. You may end this agreement at any time. Rides from before are still taken by it.`
