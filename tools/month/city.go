package main

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"strings"

	"time"

	"github.com/shuama/shuama/curve/secp192k1"
	"github.com/shuama/shuama/curve/secp256k1"
	"github.com/shuama/shuama/protocol/ridecode"
	"github.com/shuama/shuama/protocol/trust"
	"github.com/shuama/shuama/role/merchant/fare"
)

// The city: ten buses, six metro lines of forty stations, three railways, a tram.
const (
	busLines    = 10
	metroLines  = 6
	railLines   = 3
	linesCount  = busLines + metroLines + railLines + 1
	stations    = 40
	railStops   = 12
	tramStops   = 9
	issuerKeyID = ridecode.KeyID(7)
)

// tables are the city's fares: every rule that one ride's fare can hang on another's by.
func tables() fare.Files {
	var lines, matrix, links, stops strings.Builder
	lines.WriteString("line,group,fare\n")
	for i := range busLines {
		fmt.Fprintf(&lines, "bus%d,bus,2.00\n", i)
	}
	for i := range metroLines {
		fmt.Fprintf(&lines, "metro%d,metro,matrix\n", i)
	}
	for i := range railLines {
		fmt.Fprintf(&lines, "rail%d,rail,distance\n", i)
	}
	lines.WriteString("tram,tram,zone\n")
	matrix.WriteString("from")
	for i := range stations {
		fmt.Fprintf(&matrix, ",M%d", i)
	}
	for i := range stations {
		fmt.Fprintf(&matrix, "\nM%d", i)
		for j := range stations {
			fmt.Fprintf(&matrix, ",%d.00", 3+max(i-j, j-i)/8)
		}
	}
	links.WriteString("from,to,metres\n")
	for i := range railStops - 1 {
		fmt.Fprintf(&links, "R%d,R%d,%d\n", i, i+1, 2000+300*i)
	}
	stops.WriteString("station,zone\n")
	for i := range tramStops {
		fmt.Fprintf(&stops, "T%d,%d\n", i, i/3)
	}
	return fare.Files{
		"lines.csv": []byte(lines.String()), "matrix.csv": []byte(matrix.String() + "\n"), "links.csv": []byte(links.String()), "stations.csv": []byte(stops.String()),
		"distance.csv":   []byte("over_metres,fare,each_metres,each_fare\n0,3.00,,\n6000,4.00,,\n12000,5.00,10000,1.00\n"),
		"zones.csv":      []byte("from,to,fare\n0,0,2.00\n1,1,2.00\n2,2,2.00\n0,1,3.00\n1,2,3.00\n0,2,4.00\n"),
		"identities.csv": []byte("identity,name,group,days,from,until,pays\n00000001,student,*,*,00:00,24:00,50%\n00000002,senior,*,*,09:00,16:00,0%\n"),
		"times.csv":      []byte("name,group,days,from,until,pays\nearly,metro rail,weekday,05:00,07:00,70%\n"),
		"transfers.csv":  []byte("name,from,to,same_line,within_minutes,counted_from,times,pays\nchange,metro rail,bus tram,no,45,exit,,-1.00\nbuses,bus,bus,no,90,first,2,0%\nfeeder,bus,metro rail,no,60,entry,,-1.00\n"),
		"caps.csv":       []byte("cap,period,group,identity,over,pays\nday,day,*,*,18.00,0%\nmonth,month,metro rail,none,40.00,80%\nmonth,month,metro rail,none,80.00,50%\n"),
		"defaults.csv":   []byte("group,missing,fare\n*,exit,most\n*,entry,most\n"),
		"settings.csv":   []byte("name,value\nround_to,0.10\ngrace_minutes,15\ngrace_fare,1.00\n"),
	}
}

// phone is a rider's key and grant.
type phone struct {
	key   *secp192k1.PrivateKey
	grant ridecode.SignedGrant
}

// town is the institution and its phones.
type town struct {
	issuer *secp256k1.PrivateKey
	ring   *trust.KeyRing
	tariff *fare.Tariff
	phones []phone
}

func found(p plan, from time.Time) (*town, error) {
	t := &town{}
	var err error
	if t.issuer, err = secp256k1.ParsePrivateKey(binary.BigEndian.AppendUint64(make([]byte, secp256k1.PrivateKeySize-8), 1)); err != nil {
		return nil, err
	}
	if t.ring, err = trust.NewKeyRing([]trust.Key{{ID: issuerKeyID, Public: t.issuer.PublicKey()}}, trust.WindowFast); err != nil {
		return nil, err
	}
	if t.tariff, err = fare.Parse(tables()); err != nil {
		return nil, err
	}
	random := rand.New(rand.NewPCG(p.seed, 1))
	for number := range p.riders {
		one, err := t.newPhone(number, random, from)
		if err != nil {
			return nil, err
		}
		t.phones = append(t.phones, one)
	}
	return t, nil
}

// newPhone gives one in ten a student's identity, and one in twenty a senior's.
func (t *town) newPhone(number int, random *rand.Rand, from time.Time) (phone, error) {
	key, err := secp192k1.ParsePrivateKey(binary.BigEndian.AppendUint64(make([]byte, secp192k1.PrivateKeySize-8), uint64(number)+1))
	if err != nil {
		return phone{}, err
	}
	user := userOf(number)
	grant := ridecode.Grant{UserID: user, Expires: from.AddDate(0, 0, 60), ValidSec: 600, LimitFen: 3000, CardType: ridecode.PlainCardType, CardNo: ridecode.CardNo(user)}
	switch draw := random.IntN(20); {
	case draw < 2:
		grant.Identity[3] = 1
	case draw < 3:
		grant.Identity[3] = 2
	}
	copy(grant.UserKey[:], key.PublicKey().Bytes())
	signed, err := grant.Sign(issuerKeyID, t.issuer)
	return phone{key: key, grant: signed}, err
}

func userOf(number int) ridecode.UserID { return ridecode.UserID(fmt.Sprintf("2088%012d", number)) }
