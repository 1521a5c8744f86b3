package storetest

import (
	"encoding/binary"
	"fmt"
	"testing"
	"time"

	"github.com/shuama/shuama/curve/secp192k1"
	"github.com/shuama/shuama/curve/secp256k1"
	"github.com/shuama/shuama/protocol/record"
	"github.com/shuama/shuama/protocol/ridecode"
	"github.com/shuama/shuama/protocol/trust"
	"github.com/shuama/shuama/role/merchant"
	"github.com/shuama/shuama/role/merchant/fare"
)

// cityFares has two bus lines and three stations; there is no fare from 松江大学城 to itself, and none for a
// missing end.
func cityFares() fare.Files {
	return fare.Files{
		"lines.csv":  []byte("line,group,fare\n19,bus,2.00\n000001,bus,1.50\nmetro2,metro,matrix\n"),
		"matrix.csv": []byte("from,松江大学城,杨高中路,Xujiahui\n松江大学城,,6.00,5.00\n杨高中路,6.00,2.00,3.00\nXujiahui,5.00,3.00,2.00\n"),
	}
}

// richFares adds all that makes one ride's fare hang on another's.
func richFares() fare.Files {
	files := cityFares()
	files["defaults.csv"] = []byte("group,missing,fare\nmetro,exit,most\nmetro,entry,8.00\n")
	files["transfers.csv"] = []byte("name,from,to,same_line,within_minutes,counted_from,times,pays\nchange,metro,bus,no,60,exit,,-1.00\nbuses,bus,bus,yes,90,first,2,50%\n")
	files["identities.csv"] = []byte("identity,name,group,days,from,until,pays\n00000001,student,*,*,00:00,24:00,50%\n")
	files["caps.csv"] = []byte("cap,period,group,identity,over,pays\nday,day,*,*,9.00,0%\nmonth,month,metro,*,12.00,80%\nmonth,month,metro,*,30.00,0%\n")
	files["settings.csv"] = []byte("name,value\ngrace_minutes,20\ngrace_fare,1.00\n")
	return files
}

func parseFares(t testing.TB, files fare.Files) *fare.Tariff {
	tariff, err := fare.Parse(files)
	if err != nil {
		t.Fatal(err)
	}
	return tariff
}

// cityKeyID is the institution key of every grant in the city.
const cityKeyID ridecode.KeyID = 7

// City is an institution, phones and terminals with real keys. All of it is the same each time.
type City struct {
	issuer   *secp256k1.PrivateKey
	terminal record.TerminalSigner
	Keys     *trust.KeyRing
	Fares    *fare.Tariff
	Rich     *fare.Tariff
	phones   map[int]phone
}

type phone struct {
	key   *secp192k1.PrivateKey
	grant ridecode.SignedGrant
}

// Morning is when rides begin: 08:30 in Beijing.
func Morning() time.Time { return time.Date(2026, 3, 2, 0, 30, 0, 0, time.UTC) }

// NewCity makes the keys.
func NewCity(t testing.TB) *City {
	c := &City{issuer: privateKey256(t, 1), terminal: record.TerminalSigner{Private: privateKey256(t, 2)}, phones: map[int]phone{}}
	var err error
	if c.Keys, err = trust.NewKeyRing([]trust.Key{{ID: cityKeyID, Public: c.issuer.PublicKey()}}, trust.WindowSmall); err != nil {
		t.Fatal(err)
	}
	c.Fares, c.Rich = parseFares(t, cityFares()), parseFares(t, richFares())
	return c
}

func privateKey256(t testing.TB, number uint64) *secp256k1.PrivateKey {
	key, err := secp256k1.ParsePrivateKey(binary.BigEndian.AppendUint64(make([]byte, secp256k1.PrivateKeySize-8), number))
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// Students are the phones from this number on: their grants carry an identity.
const Students = 100_000

// UserID is the user of a phone.
func UserID(number int) ridecode.UserID { return ridecode.UserID(fmt.Sprintf("2088%012d", number)) }

func (c *City) phone(t testing.TB, number int) phone {
	if p, made := c.phones[number]; made {
		return p
	}
	key, err := secp192k1.ParsePrivateKey(binary.BigEndian.AppendUint64(make([]byte, secp192k1.PrivateKeySize-8), uint64(number)+1))
	if err != nil {
		t.Fatal(err)
	}
	grant := ridecode.Grant{UserID: UserID(number), Expires: Morning().AddDate(0, 0, 40), ValidSec: 600, LimitFen: 3000,
		CardType: ridecode.PlainCardType, CardNo: ridecode.CardNo(UserID(number))}
	if number >= Students {
		grant.Identity = ridecode.Quad{3: 1}
	}
	copy(grant.UserKey[:], key.PublicKey().Bytes())
	signed, err := grant.Sign(cityKeyID, c.issuer)
	if err != nil {
		t.Fatal(err)
	}
	c.phones[number] = phone{key: key, grant: signed}
	return c.phones[number]
}

// Ride is one tap to be made.
type Ride struct {
	Phone    int
	Kind     record.Kind
	At       time.Time
	POSID    string
	Line     string
	Station  string
	Subject  string
	RecordID string
	ShownSec int64 // how long before At the code was shown
}

// Record makes the tap: a code, and the record that a terminal keeps of it.
func (c *City) Record(t testing.TB, ride Ride) []byte {
	p := c.phone(t, ride.Phone)
	code, err := p.grant.Show(ride.At.Add(-time.Duration(ride.ShownSec)*time.Second), p.key)
	if err != nil {
		t.Fatal(err)
	}
	info := record.TerminalInfo{POSID: ride.POSID, Kind: ride.Kind, Subject: ride.Subject, RecordID: ride.RecordID, Line: ride.Line, Station: ride.Station}
	kept := record.Record{Version: record.Version1, Code: code, Terminal: info.JSON(), Time: ride.At}
	b, err := kept.Sign(UserID(ride.Phone), c.terminal)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Bus makes a record of bus line 19.
func (c *City) Bus(t testing.TB, phone int, at time.Time) []byte {
	return c.Record(t, Ride{Phone: phone, Kind: record.Single, At: at, POSID: "3241", Line: "19", RecordID: fmt.Sprint(phone, at.Unix())})
}

// Metro makes a record of one end of a metro trip.
func (c *City) Metro(t testing.TB, phone int, kind record.Kind, at time.Time, station string) []byte {
	return c.Record(t, Ride{Phone: phone, Kind: kind, At: at, POSID: "G" + string(kind), Line: "metro2", Station: station, RecordID: fmt.Sprint(phone, kind, at.Unix())})
}

// Merchant makes a merchant over a store with short waits; change, which may be nil, alters the configuration.
func (c *City) Merchant(t testing.TB, store merchant.Store, settler merchant.Settler, change func(*merchant.Config)) *merchant.Merchant {
	config := merchant.Config{Keys: c.Keys, Fares: c.Fares, SellerLogin: "bus@example.com", SettleBatch: 7}
	if change != nil {
		change(&config)
	}
	m, err := merchant.New(store, settler, config)
	if err != nil {
		t.Fatal(err)
	}
	return m
}
