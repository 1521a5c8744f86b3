package secp256k1
import ("testing";"math/big";"math/rand/v2";"github.com/shuama/shuama/curve/internal/oracle")
func TestQuick(t *testing.T){
 c:=oracle.Secp256k1()
 rng:=rand.NewChaCha8([32]byte{1})
 for i:=0;i<60;i++{
  k,err:=GenerateKey(rng); if err!=nil{t.Fatal(err)}
  d:=new(big.Int).SetBytes(k.Bytes())
  q:=c.Mult(d,c.Generator())
  if string(c.Compress(q))!=string(k.PublicKey().Bytes()){t.Fatalf("pub %d %x %x",i,c.Compress(q),k.PublicKey().Bytes())}
  pk,err:=ParsePublicKey(c.Compress(q)); if err!=nil{t.Fatal(err)}
  dg:=make([]byte,20+i%20); rng.Read(dg)
  r,s:=c.Sign(d,dg)
  sig,_:=k.Sign(dg)
  want:=append(r.FillBytes(make([]byte,c.Bytes)),s.FillBytes(make([]byte,c.Bytes))...)
  if string(sig.AppendFixed(nil))!=string(want){t.Fatal("sign")}
  der,_:=k.SignDER(dg)
  if !pk.VerifyDER(dg,der){t.Fatal("verify")}
  dg[3]^=1
  if pk.VerifyDER(dg,der){t.Fatal("verify bad")}
 }
}
func BenchmarkVerify(b *testing.B){ k,_:=GenerateKey(rand.NewChaCha8([32]byte{1})); p:=k.PublicKey(); dg:=make([]byte,20); dg[1]=9; der,_:=k.SignDER(dg); b.ReportAllocs(); for b.Loop(){ p.VerifyDER(dg,der)}}
func BenchmarkSign(b *testing.B){ k,_:=GenerateKey(rand.NewChaCha8([32]byte{1})); dg:=make([]byte,20); var buf [80]byte;b.ReportAllocs(); for b.Loop(){ k.AppendSignDER(buf[:0],dg)}}
func BenchmarkParse(b *testing.B){ k,_:=GenerateKey(rand.NewChaCha8([32]byte{1})); p:=k.PublicKey().Bytes(); b.ReportAllocs(); for b.Loop(){ ParsePublicKey(p)}}
func BenchmarkMul(b *testing.B){ x,y:=generator.x,generator.y; for b.Loop(){ for range 100 {x.mul(&x,&y)}}}
func BenchmarkSq(b *testing.B){ x:=generator.x; for b.Loop(){ for range 100 {x.square(&x)}}}
func BenchmarkInv(b *testing.B){ x:=publicScalar{limbs(generator.x)}; for b.Loop(){ x.invert(&x)}}
func BenchmarkInvCT(b *testing.B){ x:=secretScalar{limbs(generator.x)}; for b.Loop(){ x.invert(&x)}}
func BenchmarkDbl(b *testing.B){ var p jacobian;p.setAffine(&generator); for b.Loop(){ for range 100 {p.double(&p)}}}
func BenchmarkAdd(b *testing.B){ var p jacobian;p.setAffine(&generator);p.double(&p); for b.Loop(){ for range 100 {p.addAffine(&generator)}}}
