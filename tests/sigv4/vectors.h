/* Made by make_vectors.py; do not edit. Signed at 20261121T044937Z. */
static const struct vector {
	const char *form, *method, *target, *headers;
} vectors[] = {
	{"header", "GET", "/repo/main/plain.txt",
	 "host:127.0.0.1:8000\n"
	 "x-amz-date:20261121T044937Z\n"
	 "x-amz-security-token:tok/en+with=signs\n"
	 "x-amz-content-sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\n"
	 "authorization:AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20261121/us-east-1/s3/aws4_request, SignedHeaders=host;x-amz-content-sha256;x-amz-date;x-amz-security-token, Signature=9135d98bd275e1feabb6e040ad8f87cb00d9e3cfebefdaf6b9a0cd076fd2db04\n"},
	{"header", "HEAD", "/repo/main/plain.txt?acl",
	 "host:127.0.0.1:8000\n"
	 "x-amz-meta-spaces:a   b    c\n"
	 "content-type:text/plain; charset=utf-8\n"
	 "x-amz-date:20261121T044937Z\n"
	 "x-amz-content-sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\n"
	 "authorization:AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20261121/us-east-1/s3/aws4_request, SignedHeaders=content-type;host;x-amz-content-sha256;x-amz-date;x-amz-meta-spaces, Signature=6d6197f4178bb79eda87310ae2884c71363e163c2a478511980ee9d86f3ab710\n"},
	{"header", "POST", "/repo/main/plain.txt?prefix=a%20b%2Bc&delimiter=%2F&list-type=2",
	 "host:127.0.0.1:8000\n"
	 "x-amz-meta-empty:\n"
	 "x-amz-copy-source:/repo/main/a%20b\n"
	 "range:bytes=0-9\n"
	 "x-amz-date:20261121T044937Z\n"
	 "x-amz-content-sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\n"
	 "authorization:AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20261121/us-east-1/s3/aws4_request, SignedHeaders=host;range;x-amz-content-sha256;x-amz-copy-source;x-amz-date;x-amz-meta-empty, Signature=8f0122c6b519360bef15f28452e5ce2d7bdd8b4a8378338c68fcd674bb114b99\n"},
	{"header", "PUT", "/repo/main/plain.txt?b=2&b=1&a=&B=x&a-b=y&a=0",
	 "host:127.0.0.1:8000\n"
	 "x-amz-meta-caps:Value\n"
	 "content-md5:4gJE4saaMU4BqNR0kLY+lw==\n"
	 "x-amz-date:20261121T044937Z\n"
	 "x-amz-security-token:tok/en+with=signs\n"
	 "x-amz-content-sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\n"
	 "authorization:AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20261121/us-east-1/s3/aws4_request, SignedHeaders=content-md5;host;x-amz-content-sha256;x-amz-date;x-amz-meta-caps;x-amz-security-token, Signature=55c4ad399d22fe03dc91f12286d136caf011519fc3e52a9bdb0b1b1d76709555\n"},
	{"header", "DELETE", "/repo/main/plain.txt?prefix=fran%C3%A7ais%40%26%3D%25&marker=%2F%2F&uploads=",
	 "host:127.0.0.1:8000\n"
	 "x-amz-date:20261121T044937Z\n"
	 "x-amz-content-sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\n"
	 "authorization:AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20261121/us-east-1/s3/aws4_request, SignedHeaders=host;x-amz-content-sha256;x-amz-date, Signature=fd97d7701eeb272fc8fb5885d5190ad023fa5cafc9ea93be052c60d3b486d8a3\n"},
	{"header", "GET", "/repo/main/plain.txt?partNumber=7&uploadId=a%2Bb%2Fc%3D%3D&x-id=UploadPart",
	 "host:127.0.0.1:8000\n"
	 "x-amz-meta-spaces:a   b    c\n"
	 "content-type:text/plain; charset=utf-8\n"
	 "x-amz-date:20261121T044937Z\n"
	 "x-amz-content-sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\n"
	 "authorization:AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20261121/us-east-1/s3/aws4_request, SignedHeaders=content-type;host;x-amz-content-sha256;x-amz-date;x-amz-meta-spaces, Signature=be28ec4bf4b2b8463004439b9e819465152edb279744de089f525b54dde20a4a\n"},
	{"header", "PUT", "/repo/main/dir/with%20space/and%2Bplus",
	 "host:127.0.0.1:8000\n"
	 "x-amz-meta-spaces:a   b    c\n"
	 "content-type:text/plain; charset=utf-8\n"
	 "x-amz-date:20261121T044937Z\n"
	 "x-amz-content-sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\n"
	 "authorization:AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20261121/us-east-1/s3/aws4_request, SignedHeaders=content-type;host;x-amz-content-sha256;x-amz-date;x-amz-meta-spaces, Signature=04e68118d049236dd9ccc0c3f874f96615a4a013a4df1b8c4d8fd6f2ce498f4d\n"},
	{"header", "DELETE", "/repo/main/dir/with%20space/and%2Bplus?acl",
	 "host:127.0.0.1:8000\n"
	 "x-amz-meta-empty:\n"
	 "x-amz-copy-source:/repo/main/a%20b\n"
	 "range:bytes=0-9\n"
	 "x-amz-date:20261121T044937Z\n"
	 "x-amz-content-sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\n"
	 "authorization:AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20261121/us-east-1/s3/aws4_request, SignedHeaders=host;range;x-amz-content-sha256;x-amz-copy-source;x-amz-date;x-amz-meta-empty, Signature=12d5073e9fc41dbe89f54d3f87b5e2ec77a7a0dc7f5204ee2423180586ae4a6f\n"},
	{"header", "GET", "/repo/main/dir/with%20space/and%2Bplus?prefix=a%20b%2Bc&delimiter=%2F&list-type=2",
	 "host:127.0.0.1:8000\n"
	 "x-amz-meta-caps:Value\n"
	 "content-md5:4gJE4saaMU4BqNR0kLY+lw==\n"
	 "x-amz-date:20261121T044937Z\n"
	 "x-amz-security-token:tok/en+with=signs\n"
	 "x-amz-content-sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\n"
	 "authorization:AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20261121/us-east-1/s3/aws4_request, SignedHeaders=content-md5;host;x-amz-content-sha256;x-amz-date;x-amz-meta-caps;x-amz-security-token, Signature=ce3018d9e02c567b69ff1cbf9f04b33d395e9f5b7d4093089c335bf74f123c32\n"},
	{"header", "HEAD", "/repo/main/dir/with%20space/and%2Bplus?b=2&b=1&a=&B=x&a-b=y&a=0",
	 "host:127.0.0.1:8000\n"
	 "x-amz-date:20261121T044937Z\n"
	 "x-amz-content-sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\n"
	 "authorization:AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20261121/us-east-1/s3/aws4_request, SignedHeaders=host;x-amz-content-sha256;x-amz-date, Signature=004ecfb6ef85c22b21592bd4b85a16a7781b36a274d6d92277f6782002aff5fb\n"},
	{"header", "POST", "/repo/main/dir/with%20space/and%2Bplus?prefix=fran%C3%A7ais%40%26%3D%25&marker=%2F%2F&uploads=",
	 "host:127.0.0.1:8000\n"
	 "x-amz-meta-spaces:a   b    c\n"
	 "content-type:text/plain; charset=utf-8\n"
	 "x-amz-date:20261121T044937Z\n"
	 "x-amz-content-sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\n"
	 "authorization:AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20261121/us-east-1/s3/aws4_request, SignedHeaders=content-type;host;x-amz-content-sha256;x-amz-date;x-amz-meta-spaces, Signature=a6c84dec41c6eecd4673e6ad8b49bf04e5d063a8bed35acbf7cd1e50f34d6c08\n"},
	{"header", "PUT", "/repo/main/dir/with%20space/and%2Bplus?partNumber=7&uploadId=a%2Bb%2Fc%3D%3D&x-id=UploadPart",
	 "host:127.0.0.1:8000\n"
	 "x-amz-meta-empty:\n"
	 "x-amz-copy-source:/repo/main/a%20b\n"
	 "range:bytes=0-9\n"
	 "x-amz-date:20261121T044937Z\n"
	 "x-amz-security-token:tok/en+with=signs\n"
	 "x-amz-content-sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\n"
	 "authorization:AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20261121/us-east-1/s3/aws4_request, SignedHeaders=host;range;x-amz-content-sha256;x-amz-copy-source;x-amz-date;x-amz-meta-empty;x-amz-security-token, Signature=d65bc2d7e50c428958dda4c28e3fe86b34ae08beff4cfa870b22ea79dfc81138\n"},
	{"header", "HEAD", "/repo/main/a%40b%3Dc%26d%3Be%3Af%2Cg%21h%24i%27%28j%29%2Ak~l",
	 "host:127.0.0.1:8000\n"
	 "x-amz-meta-empty:\n"
	 "x-amz-copy-source:/repo/main/a%20b\n"
	 "range:bytes=0-9\n"
	 "x-amz-date:20261121T044937Z\n"
	 "x-amz-content-sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\n"
	 "authorization:AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20261121/us-east-1/s3/aws4_request, SignedHeaders=host;range;x-amz-content-sha256;x-amz-copy-source;x-amz-date;x-amz-meta-empty, Signature=4f2cc75b991b5ed0e2c9f4d248cd6c6ba31ebbf102cf2665fffa46313dd75518\n"},
	{"header", "POST", "/repo/main/a%40b%3Dc%26d%3Be%3Af%2Cg%21h%24i%27%28j%29%2Ak~l?acl",
	 "host:127.0.0.1:8000\n"
	 "x-amz-meta-caps:Value\n"
	 "content-md5:4gJE4saaMU4BqNR0kLY+lw==\n"
	 "x-amz-date:20261121T044937Z\n"
	 "x-amz-security-token:tok/en+with=signs\n"
	 "x-amz-content-sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\n"
	 "authorization:AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20261121/us-east-1/s3/aws4_request, SignedHeaders=content-md5;host;x-amz-content-sha256;x-amz-date;x-amz-meta-caps;x-amz-security-token, Signature=e64d0fb0f939450ede02f35179d44ed96b67ceca6e3c3fcfb064e38a6d32af91\n"},
	{"header", "PUT", "/repo/main/a%40b%3Dc%26d%3Be%3Af%2Cg%21h%24i%27%28j%29%2Ak~l?prefix=a%20b%2Bc&delimiter=%2F&list-type=2",
	 "host:127.0.0.1:8000\n"
	 "x-amz-date:20261121T044937Z\n"
	 "x-amz-content-sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\n"
	 "authorization:AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20261121/us-east-1/s3/aws4_request, SignedHeaders=host;x-amz-content-sha256;x-amz-date, Signature=a8657e4276c2ba83094829ca4a0e3b8dedbecce191f51a177def0bbb1d4670d8\n"},
	{"header", "DELETE", "/repo/main/a%40b%3Dc%26d%3Be%3Af%2Cg%21h%24i%27%28j%29%2Ak~l?b=2&b=1&a=&B=x&a-b=y&a=0",
	 "host:127.0.0.1:8000\n"
	 "x-amz-meta-spaces:a   b    c\n"
	 "content-type:text/plain; charset=utf-8\n"
	 "x-amz-date:20261121T044937Z\n"
	 "x-amz-content-sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\n"
	 "authorization:AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20261121/us-east-1/s3/aws4_request, SignedHeaders=content-type;host;x-amz-content-sha256;x-amz-date;x-amz-meta-spaces, Signature=85626d40e0f7cf52435230985eb6d258abb95c6ed61bc05872d9322e9ff4f312\n"},
	{"header", "GET", "/repo/main/a%40b%3Dc%26d%3Be%3Af%2Cg%21h%24i%27%28j%29%2Ak~l?prefix=fran%C3%A7ais%40%26%3D%25&marker=%2F%2F&uploads=",
	 "host:127.0.0.1:8000\n"
	 "x-amz-meta-empty:\n"
	 "x-amz-copy-source:/repo/main/a%20b\n"
	 "range:bytes=0-9\n"
	 "x-amz-date:20261121T044937Z\n"
	 "x-amz-security-token:tok/en+with=signs\n"
	 "x-amz-content-sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\n"
	 "authorization:AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20261121/us-east-1/s3/aws4_request, SignedHeaders=host;range;x-amz-content-sha256;x-amz-copy-source;x-amz-date;x-amz-meta-empty;x-amz-security-token, Signature=5b156bb74ce350c505999e44c79b22ce998170068c747c299b006785192005a6\n"},
	{"header", "HEAD", "/repo/main/a%40b%3Dc%26d%3Be%3Af%2Cg%21h%24i%27%28j%29%2Ak~l?partNumber=7&uploadId=a%2Bb%2Fc%3D%3D&x-id=UploadPart",
	 "host:127.0.0.1:8000\n"
	 "x-amz-meta-caps:Value\n"
	 "content-md5:4gJE4saaMU4BqNR0kLY+lw==\n"
	 "x-amz-date:20261121T044937Z\n"
	 "x-amz-content-sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\n"
	 "authorization:AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20261121/us-east-1/s3/aws4_request, SignedHeaders=content-md5;host;x-amz-content-sha256;x-amz-date;x-amz-meta-caps, Signature=4ba91ffb951dc972be79cbc2ad91016e66a2814d7e5f1042573a4cc702fb576c\n"},
	{"header", "DELETE", "/repo/main/percent%2541literal%252Fand%2525",
	 "host:127.0.0.1:8000\n"
	 "x-amz-meta-caps:Value\n"
	 "content-md5:4gJE4saaMU4BqNR0kLY+lw==\n"
	 "x-amz-date:20261121T044937Z\n"
	 "x-amz-security-token:tok/en+with=signs\n"
	 "x-amz-content-sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\n"
	 "authorization:AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20261121/us-east-1/s3/aws4_request, SignedHeaders=content-md5;host;x-amz-content-sha256;x-amz-date;x-amz-meta-caps;x-amz-security-token, Signature=c5048f27be75845d3f6ef1d5475a659f787ed4b47e569f48896619f756767d1e\n"},
	{"header", "GET", "/repo/main/percent%2541literal%252Fand%2525?acl",
	 "host:127.0.0.1:8000\n"
	 "x-amz-date:20261121T044937Z\n"
	 "x-amz-content-sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\n"
	 "authorization:AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20261121/us-east-1/s3/aws4_request, SignedHeaders=host;x-amz-content-sha256;x-amz-date, Signature=b507335e4aab71ffa07a365c4ab0980f9eaad8c4794e4d581b6b3f98d8ed96a5\n"},
	{"header", "HEAD", "/repo/main/percent%2541literal%252Fand%2525?prefix=a%20b%2Bc&delimiter=%2F&list-type=2",
	 "host:127.0.0.1:8000\n"
	 "x-amz-meta-spaces:a   b    c\n"
	 "content-type:text/plain; charset=utf-8\n"
	 "x-amz-date:20261121T044937Z\n"
	 "x-amz-content-sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\n"
	 "authorization:AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20261121/us-east-1/s3/aws4_request, SignedHeaders=content-type;host;x-amz-content-sha256;x-amz-date;x-amz-meta-spaces, Signature=23d0c843df4669b399ff33842a0c035223a9bbed609aa39f44882071e86ff1cd\n"},
	{"header", "POST", "/repo/main/percent%2541literal%252Fand%2525?b=2&b=1&a=&B=x&a-b=y&a=0",
	 "host:127.0.0.1:8000\n"
	 "x-amz-meta-empty:\n"
	 "x-amz-copy-source:/repo/main/a%20b\n"
	 "range:bytes=0-9\n"
	 "x-amz-date:20261121T044937Z\n"
	 "x-amz-security-token:tok/en+with=signs\n"
	 "x-amz-content-sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\n"
	 "authorization:AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20261121/us-east-1/s3/aws4_request, SignedHeaders=host;range;x-amz-content-sha256;x-amz-copy-source;x-amz-date;x-amz-meta-empty;x-amz-security-token, Signature=7f9d97a29cd19bc765edc89c681415a93a7538d8bcb7db1a50a0e4a98fe4455b\n"},
	{"header", "PUT", "/repo/main/percent%2541literal%252Fand%2525?prefix=fran%C3%A7ais%40%26%3D%25&marker=%2F%2F&uploads=",
	 "host:127.0.0.1:8000\n"
	 "x-amz-meta-caps:Value\n"
	 "content-md5:4gJE4saaMU4BqNR0kLY+lw==\n"
	 "x-amz-date:20261121T044937Z\n"
	 "x-amz-content-sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\n"
	 "authorization:AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20261121/us-east-1/s3/aws4_request, SignedHeaders=content-md5;host;x-amz-content-sha256;x-amz-date;x-amz-meta-caps, Signature=440227513a442cf8131beda4afbe27f7987388a5d23c919d5174f0202438ee57\n"},
	{"header", "DELETE", "/repo/main/percent%2541literal%252Fand%2525?partNumber=7&uploadId=a%2Bb%2Fc%3D%3D&x-id=UploadPart",
	 "host:127.0.0.1:8000\n"
	 "x-amz-date:20261121T044937Z\n"
	 "x-amz-content-sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\n"
	 "authorization:AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20261121/us-east-1/s3/aws4_request, SignedHeaders=host;x-amz-content-sha256;x-amz-date, Signature=8185d8397cfca7b4273eddf7db0cf71024e789344db0526ae07902047e58c6f7\n"},
	{"header", "POST", "/repo/main///double//slash///",
	 "host:127.0.0.1:8000\n"
	 "x-amz-date:20261121T044937Z\n"
	 "x-amz-content-sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\n"
	 "authorization:AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20261121/us-east-1/s3/aws4_request, SignedHeaders=host;x-amz-content-sha256;x-amz-date, Signature=540c185100f2cd1f6ea8f817222c050e5caf333cc960d74937deb561ac1fe964\n"},
	{"header", "PUT", "/repo/main///double//slash///?acl",
	 "host:127.0.0.1:8000\n"
	 "x-amz-meta-spaces:a   b    c\n"
	 "content-type:text/plain; charset=utf-8\n"
	 "x-amz-date:20261121T044937Z\n"
	 "x-amz-content-sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\n"
	 "authorization:AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20261121/us-east-1/s3/aws4_request, SignedHeaders=content-type;host;x-amz-content-sha256;x-amz-date;x-amz-meta-spaces, Signature=49399aa0b35dfdefc1c983b724ba6401ab1031e82d888b637f1596063d97d669\n"},
	{"header", "DELETE", "/repo/main///double//slash///?prefix=a%20b%2Bc&delimiter=%2F&list-type=2",
	 "host:127.0.0.1:8000\n"
	 "x-amz-meta-empty:\n"
	 "x-amz-copy-source:/repo/main/a%20b\n"
	 "range:bytes=0-9\n"
	 "x-amz-date:20261121T044937Z\n"
	 "x-amz-security-token:tok/en+with=signs\n"
	 "x-amz-content-sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\n"
	 "authorization:AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20261121/us-east-1/s3/aws4_request, SignedHeaders=host;range;x-amz-content-sha256;x-amz-copy-source;x-amz-date;x-amz-meta-empty;x-amz-security-token, Signature=fe5d79a7bf4b7f4ec0334b1e46bdab555cc7c79a20e3e601f81a97608f4b3561\n"},
	{"header", "GET", "/repo/main///double//slash///?b=2&b=1&a=&B=x&a-b=y&a=0",
	 "host:127.0.0.1:8000\n"
	 "x-amz-meta-caps:Value\n"
	 "content-md5:4gJE4saaMU4BqNR0kLY+lw==\n"
	 "x-amz-date:20261121T044937Z\n"
	 "x-amz-content-sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\n"
	 "authorization:AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20261121/us-east-1/s3/aws4_request, SignedHeaders=content-md5;host;x-amz-content-sha256;x-amz-date;x-amz-meta-caps, Signature=e4b1b9af1485960de91729777c79f07f5f7bb2a5a7ab28e8056b4a8c4db72c01\n"},
	{"header", "HEAD", "/repo/main///double//slash///?prefix=fran%C3%A7ais%40%26%3D%25&marker=%2F%2F&uploads=",
	 "host:127.0.0.1:8000\n"
	 "x-amz-date:20261121T044937Z\n"
	 "x-amz-content-sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\n"
	 "authorization:AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20261121/us-east-1/s3/aws4_request, SignedHeaders=host;x-amz-content-sha256;x-amz-date, Signature=84fdd11e7c5da7563b40fc4e82b93f64a794849a2a2d0d984ccf09da19e1c802\n"},
	{"header", "POST", "/repo/main///double//slash///?partNumber=7&uploadId=a%2Bb%2Fc%3D%3D&x-id=UploadPart",
	 "host:127.0.0.1:8000\n"
	 "x-amz-meta-spaces:a   b    c\n"
	 "content-type:text/plain; charset=utf-8\n"
	 "x-amz-date:20261121T044937Z\n"
	 "x-amz-security-token:tok/en+with=signs\n"
	 "x-amz-content-sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\n"
	 "authorization:AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20261121/us-east-1/s3/aws4_request, SignedHeaders=content-type;host;x-amz-content-sha256;x-amz-date;x-amz-meta-spaces;x-amz-security-token, Signature=49a8a04d334497f6a87ded0c40c564474c8b0c832a41713ef56b711819771aa4\n"},
	{"header", "GET", "/repo/main/./dot/../dots/./.",
	 "host:127.0.0.1:8000\n"
	 "x-amz-meta-spaces:a   b    c\n"
	 "content-type:text/plain; charset=utf-8\n"
	 "x-amz-date:20261121T044937Z\n"
	 "x-amz-content-sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\n"
	 "authorization:AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20261121/us-east-1/s3/aws4_request, SignedHeaders=content-type;host;x-amz-content-sha256;x-amz-date;x-amz-meta-spaces, Signature=103a06b3a65839a5bd5b9a807fdae84c51a6ec04cee9f827b150cdc1c0efc680\n"},
	{"header", "HEAD", "/repo/main/./dot/../dots/./.?acl",
	 "host:127.0.0.1:8000\n"
	 "x-amz-meta-empty:\n"
	 "x-amz-copy-source:/repo/main/a%20b\n"
	 "range:bytes=0-9\n"
	 "x-amz-date:20261121T044937Z\n"
	 "x-amz-security-token:tok/en+with=signs\n"
	 "x-amz-content-sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\n"
	 "authorization:AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20261121/us-east-1/s3/aws4_request, SignedHeaders=host;range;x-amz-content-sha256;x-amz-copy-source;x-amz-date;x-amz-meta-empty;x-amz-security-token, Signature=863702ecde485edb80f13b8f215698dd4c3f2fbb11e914b53819937bc26d3144\n"},
	{"header", "POST", "/repo/main/./dot/../dots/./.?prefix=a%20b%2Bc&delimiter=%2F&list-type=2",
	 "host:127.0.0.1:8000\n"
	 "x-amz-meta-caps:Value\n"
	 "content-md5:4gJE4saaMU4BqNR0kLY+lw==\n"
	 "x-amz-date:20261121T044937Z\n"
	 "x-amz-content-sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\n"
	 "authorization:AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20261121/us-east-1/s3/aws4_request, SignedHeaders=content-md5;host;x-amz-content-sha256;x-amz-date;x-amz-meta-caps, Signature=12154eb716a0676a8534e228a478ea882b980162cf5bb541f280b2ccc21fa24a\n"},
	{"header", "PUT", "/repo/main/./dot/../dots/./.?b=2&b=1&a=&B=x&a-b=y&a=0",
	 "host:127.0.0.1:8000\n"
	 "x-amz-date:20261121T044937Z\n"
	 "x-amz-content-sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\n"
	 "authorization:AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20261121/us-east-1/s3/aws4_request, SignedHeaders=host;x-amz-content-sha256;x-amz-date, Signature=6cfbd442d2b45dfdabb1238e9e878fd07eef21d20d5dfacb7c6907671b97a0fb\n"},
	{"header", "DELETE", "/repo/main/./dot/../dots/./.?prefix=fran%C3%A7ais%40%26%3D%25&marker=%2F%2F&uploads=",
	 "host:127.0.0.1:8000\n"
	 "x-amz-meta-spaces:a   b    c\n"
	 "content-type:text/plain; charset=utf-8\n"
	 "x-amz-date:20261121T044937Z\n"
	 "x-amz-security-token:tok/en+with=signs\n"
	 "x-amz-content-sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\n"
	 "authorization:AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20261121/us-east-1/s3/aws4_request, SignedHeaders=content-type;host;x-amz-content-sha256;x-amz-date;x-amz-meta-spaces;x-amz-security-token, Signature=938f8455213f79e6f515e3689804730517b1c0a55704917f6dbf011d3531d4c4\n"},
	{"header", "GET", "/repo/main/./dot/../dots/./.?partNumber=7&uploadId=a%2Bb%2Fc%3D%3D&x-id=UploadPart",
	 "host:127.0.0.1:8000\n"
	 "x-amz-meta-empty:\n"
	 "x-amz-copy-source:/repo/main/a%20b\n"
	 "range:bytes=0-9\n"
	 "x-amz-date:20261121T044937Z\n"
	 "x-amz-content-sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\n"
	 "authorization:AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20261121/us-east-1/s3/aws4_request, SignedHeaders=host;range;x-amz-content-sha256;x-amz-copy-source;x-amz-date;x-amz-meta-empty, Signature=e2289b4d4383f858ee8b685999b72917c4608d74c9806edfb168b1f0801ece03\n"},
	{"header", "PUT", "/repo/main/fran%C3%A7ais/%E6%97%A5%E6%9C%AC%E8%AA%9E/%F0%9F%98%80",
	 "host:127.0.0.1:8000\n"
	 "x-amz-meta-empty:\n"
	 "x-amz-copy-source:/repo/main/a%20b\n"
	 "range:bytes=0-9\n"
	 "x-amz-date:20261121T044937Z\n"
	 "x-amz-security-token:tok/en+with=signs\n"
	 "x-amz-content-sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\n"
	 "authorization:AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20261121/us-east-1/s3/aws4_request, SignedHeaders=host;range;x-amz-content-sha256;x-amz-copy-source;x-amz-date;x-amz-meta-empty;x-amz-security-token, Signature=921b38545b8a654e792777acf995acf63a4c13d4c1438859fbe30bfdfb739d2f\n"},
	{"header", "DELETE", "/repo/main/fran%C3%A7ais/%E6%97%A5%E6%9C%AC%E8%AA%9E/%F0%9F%98%80?acl",
	 "host:127.0.0.1:8000\n"
	 "x-amz-meta-caps:Value\n"
	 "content-md5:4gJE4saaMU4BqNR0kLY+lw==\n"
	 "x-amz-date:20261121T044937Z\n"
	 "x-amz-content-sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\n"
	 "authorization:AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20261121/us-east-1/s3/aws4_request, SignedHeaders=content-md5;host;x-amz-content-sha256;x-amz-date;x-amz-meta-caps, Signature=9df8bb933ec4638e18348610f03588245d237b900c7a94f4bac37794a9eb89eb\n"},
	{"header", "GET", "/repo/main/fran%C3%A7ais/%E6%97%A5%E6%9C%AC%E8%AA%9E/%F0%9F%98%80?prefix=a%20b%2Bc&delimiter=%2F&list-type=2",
	 "host:127.0.0.1:8000\n"
	 "x-amz-date:20261121T044937Z\n"
	 "x-amz-content-sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\n"
	 "authorization:AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20261121/us-east-1/s3/aws4_request, SignedHeaders=host;x-amz-content-sha256;x-amz-date, Signature=2458e0972f2ac3a45c8201e89de66e1cf63b8398d7b87e4f04c1497890d09605\n"},
	{"header", "HEAD", "/repo/main/fran%C3%A7ais/%E6%97%A5%E6%9C%AC%E8%AA%9E/%F0%9F%98%80?b=2&b=1&a=&B=x&a-b=y&a=0",
	 "host:127.0.0.1:8000\n"
	 "x-amz-meta-spaces:a   b    c\n"
	 "content-type:text/plain; charset=utf-8\n"
	 "x-amz-date:20261121T044937Z\n"
	 "x-amz-security-token:tok/en+with=signs\n"
	 "x-amz-content-sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\n"
	 "authorization:AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20261121/us-east-1/s3/aws4_request, SignedHeaders=content-type;host;x-amz-content-sha256;x-amz-date;x-amz-meta-spaces;x-amz-security-token, Signature=d7e4a5653c654a445aaf335d1ff4e9cc919f75369aff120741e68b3c531a7c25\n"},
	{"header", "POST", "/repo/main/fran%C3%A7ais/%E6%97%A5%E6%9C%AC%E8%AA%9E/%F0%9F%98%80?prefix=fran%C3%A7ais%40%26%3D%25&marker=%2F%2F&uploads=",
	 "host:127.0.0.1:8000\n"
	 "x-amz-meta-empty:\n"
	 "x-amz-copy-source:/repo/main/a%20b\n"
	 "range:bytes=0-9\n"
	 "x-amz-date:20261121T044937Z\n"
	 "x-amz-content-sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\n"
	 "authorization:AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20261121/us-east-1/s3/aws4_request, SignedHeaders=host;range;x-amz-content-sha256;x-amz-copy-source;x-amz-date;x-amz-meta-empty, Signature=5adbd33a991af88364c8b7a937ef9268258d386d4d32581cd7fa890f745eac01\n"},
	{"header", "PUT", "/repo/main/fran%C3%A7ais/%E6%97%A5%E6%9C%AC%E8%AA%9E/%F0%9F%98%80?partNumber=7&uploadId=a%2Bb%2Fc%3D%3D&x-id=UploadPart",
	 "host:127.0.0.1:8000\n"
	 "x-amz-meta-caps:Value\n"
	 "content-md5:4gJE4saaMU4BqNR0kLY+lw==\n"
	 "x-amz-date:20261121T044937Z\n"
	 "x-amz-content-sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\n"
	 "authorization:AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20261121/us-east-1/s3/aws4_request, SignedHeaders=content-md5;host;x-amz-content-sha256;x-amz-date;x-amz-meta-caps, Signature=630c0e55d02b3116e3da23a00fc6e3e5da3304f6da30e696258be915e3c6e94f\n"},
	{"header", "HEAD", "/repo/main/quote%22%3C%3E%5C%5E%60%7B%7C%7D%23%3F%5B%5D",
	 "host:127.0.0.1:8000\n"
	 "x-amz-meta-caps:Value\n"
	 "content-md5:4gJE4saaMU4BqNR0kLY+lw==\n"
	 "x-amz-date:20261121T044937Z\n"
	 "x-amz-content-sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\n"
	 "authorization:AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20261121/us-east-1/s3/aws4_request, SignedHeaders=content-md5;host;x-amz-content-sha256;x-amz-date;x-amz-meta-caps, Signature=2cf043b384b0455899a7eb2aceeadd89bf2fa5e3f2829502e7e234d6fcce7018\n"},
	{"header", "POST", "/repo/main/quote%22%3C%3E%5C%5E%60%7B%7C%7D%23%3F%5B%5D?acl",
	 "host:127.0.0.1:8000\n"
	 "x-amz-date:20261121T044937Z\n"
	 "x-amz-content-sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\n"
	 "authorization:AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20261121/us-east-1/s3/aws4_request, SignedHeaders=host;x-amz-content-sha256;x-amz-date, Signature=2389b9e0ecdc036f40536095eb910d074f5380f7f0f3038098098cd899291638\n"},
	{"header", "PUT", "/repo/main/quote%22%3C%3E%5C%5E%60%7B%7C%7D%23%3F%5B%5D?prefix=a%20b%2Bc&delimiter=%2F&list-type=2",
	 "host:127.0.0.1:8000\n"
	 "x-amz-meta-spaces:a   b    c\n"
	 "content-type:text/plain; charset=utf-8\n"
	 "x-amz-date:20261121T044937Z\n"
	 "x-amz-security-token:tok/en+with=signs\n"
	 "x-amz-content-sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\n"
	 "authorization:AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20261121/us-east-1/s3/aws4_request, SignedHeaders=content-type;host;x-amz-content-sha256;x-amz-date;x-amz-meta-spaces;x-amz-security-token, Signature=c5fb8a5dc8847a4cfe553a1b43967084e07fed15765c0ff1970a0617bdecdd38\n"},
	{"header", "DELETE", "/repo/main/quote%22%3C%3E%5C%5E%60%7B%7C%7D%23%3F%5B%5D?b=2&b=1&a=&B=x&a-b=y&a=0",
	 "host:127.0.0.1:8000\n"
	 "x-amz-meta-empty:\n"
	 "x-amz-copy-source:/repo/main/a%20b\n"
	 "range:bytes=0-9\n"
	 "x-amz-date:20261121T044937Z\n"
	 "x-amz-content-sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\n"
	 "authorization:AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20261121/us-east-1/s3/aws4_request, SignedHeaders=host;range;x-amz-content-sha256;x-amz-copy-source;x-amz-date;x-amz-meta-empty, Signature=4004a2d582d697bae033529e7e6881fcd86801756ab04e6abfed409f836c3767\n"},
	{"header", "GET", "/repo/main/quote%22%3C%3E%5C%5E%60%7B%7C%7D%23%3F%5B%5D?prefix=fran%C3%A7ais%40%26%3D%25&marker=%2F%2F&uploads=",
	 "host:127.0.0.1:8000\n"
	 "x-amz-meta-caps:Value\n"
	 "content-md5:4gJE4saaMU4BqNR0kLY+lw==\n"
	 "x-amz-date:20261121T044937Z\n"
	 "x-amz-content-sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\n"
	 "authorization:AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20261121/us-east-1/s3/aws4_request, SignedHeaders=content-md5;host;x-amz-content-sha256;x-amz-date;x-amz-meta-caps, Signature=f0934a0a9711f0b8935ad1cf098374bd0c158d5f08a8a410966ffe1f82d5cc0b\n"},
	{"header", "HEAD", "/repo/main/quote%22%3C%3E%5C%5E%60%7B%7C%7D%23%3F%5B%5D?partNumber=7&uploadId=a%2Bb%2Fc%3D%3D&x-id=UploadPart",
	 "host:127.0.0.1:8000\n"
	 "x-amz-date:20261121T044937Z\n"
	 "x-amz-security-token:tok/en+with=signs\n"
	 "x-amz-content-sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\n"
	 "authorization:AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20261121/us-east-1/s3/aws4_request, SignedHeaders=host;x-amz-content-sha256;x-amz-date;x-amz-security-token, Signature=dba04193be374fe38c8fc941a57a03d6bf8d4a8db1cedb24812149d89f7d30f7\n"},
	{"header", "DELETE", "/repo/main/tab%09and%7Fcontrol%01",
	 "host:127.0.0.1:8000\n"
	 "x-amz-date:20261121T044937Z\n"
	 "x-amz-content-sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\n"
	 "authorization:AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20261121/us-east-1/s3/aws4_request, SignedHeaders=host;x-amz-content-sha256;x-amz-date, Signature=d79249706dea4b9fe8afc1d41b3a02bc54eb3674ebeb5f1978836bdf4ecaf633\n"},
	{"header", "GET", "/repo/main/tab%09and%7Fcontrol%01?acl",
	 "host:127.0.0.1:8000\n"
	 "x-amz-meta-spaces:a   b    c\n"
	 "content-type:text/plain; charset=utf-8\n"
	 "x-amz-date:20261121T044937Z\n"
	 "x-amz-security-token:tok/en+with=signs\n"
	 "x-amz-content-sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\n"
	 "authorization:AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20261121/us-east-1/s3/aws4_request, SignedHeaders=content-type;host;x-amz-content-sha256;x-amz-date;x-amz-meta-spaces;x-amz-security-token, Signature=a2562ef2259374cc1eb642e8729e8bb6cc3d891b84d736af1ab66f0aba4b7c96\n"},
	{"header", "HEAD", "/repo/main/tab%09and%7Fcontrol%01?prefix=a%20b%2Bc&delimiter=%2F&list-type=2",
	 "host:127.0.0.1:8000\n"
	 "x-amz-meta-empty:\n"
	 "x-amz-copy-source:/repo/main/a%20b\n"
	 "range:bytes=0-9\n"
	 "x-amz-date:20261121T044937Z\n"
	 "x-amz-content-sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\n"
	 "authorization:AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20261121/us-east-1/s3/aws4_request, SignedHeaders=host;range;x-amz-content-sha256;x-amz-copy-source;x-amz-date;x-amz-meta-empty, Signature=30efebf6583e8c5a39d710da54d112515c1d472409c98a07667038b7a196fdbf\n"},
	{"header", "POST", "/repo/main/tab%09and%7Fcontrol%01?b=2&b=1&a=&B=x&a-b=y&a=0",
	 "host:127.0.0.1:8000\n"
	 "x-amz-meta-caps:Value\n"
	 "content-md5:4gJE4saaMU4BqNR0kLY+lw==\n"
	 "x-amz-date:20261121T044937Z\n"
	 "x-amz-content-sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\n"
	 "authorization:AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20261121/us-east-1/s3/aws4_request, SignedHeaders=content-md5;host;x-amz-content-sha256;x-amz-date;x-amz-meta-caps, Signature=a3ab517b29aed6347109260cc153370ffa37567ab8657a44c517172f59769375\n"},
	{"header", "PUT", "/repo/main/tab%09and%7Fcontrol%01?prefix=fran%C3%A7ais%40%26%3D%25&marker=%2F%2F&uploads=",
	 "host:127.0.0.1:8000\n"
	 "x-amz-date:20261121T044937Z\n"
	 "x-amz-security-token:tok/en+with=signs\n"
	 "x-amz-content-sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\n"
	 "authorization:AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20261121/us-east-1/s3/aws4_request, SignedHeaders=host;x-amz-content-sha256;x-amz-date;x-amz-security-token, Signature=44bc4bff6dd9976650c86a2bccade864aae8fb4322af25d9ad429e175f13b099\n"},
	{"header", "DELETE", "/repo/main/tab%09and%7Fcontrol%01?partNumber=7&uploadId=a%2Bb%2Fc%3D%3D&x-id=UploadPart",
	 "host:127.0.0.1:8000\n"
	 "x-amz-meta-spaces:a   b    c\n"
	 "content-type:text/plain; charset=utf-8\n"
	 "x-amz-date:20261121T044937Z\n"
	 "x-amz-content-sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\n"
	 "authorization:AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20261121/us-east-1/s3/aws4_request, SignedHeaders=content-type;host;x-amz-content-sha256;x-amz-date;x-amz-meta-spaces, Signature=024b626e80070ac2914aa86eff599367a7f8f68bdd22cb23f81479fc140f1624\n"},
	{"header", "POST", "/repo/main/%25",
	 "host:127.0.0.1:8000\n"
	 "x-amz-meta-spaces:a   b    c\n"
	 "content-type:text/plain; charset=utf-8\n"
	 "x-amz-date:20261121T044937Z\n"
	 "x-amz-security-token:tok/en+with=signs\n"
	 "x-amz-content-sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\n"
	 "authorization:AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20261121/us-east-1/s3/aws4_request, SignedHeaders=content-type;host;x-amz-content-sha256;x-amz-date;x-amz-meta-spaces;x-amz-security-token, Signature=378e633115908689fa993dd508c33f1f14d2a97659b17b6e3b9a8ccc92aee6ba\n"},
	{"header", "PUT", "/repo/main/%25?acl",
	 "host:127.0.0.1:8000\n"
	 "x-amz-meta-empty:\n"
	 "x-amz-copy-source:/repo/main/a%20b\n"
	 "range:bytes=0-9\n"
	 "x-amz-date:20261121T044937Z\n"
	 "x-amz-content-sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\n"
	 "authorization:AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20261121/us-east-1/s3/aws4_request, SignedHeaders=host;range;x-amz-content-sha256;x-amz-copy-source;x-amz-date;x-amz-meta-empty, Signature=b50cbb718f4449455384ca1b58c9ee7f2a20737c9902f060dcaf1d64bd061fbc\n"},
	{"header", "DELETE", "/repo/main/%25?prefix=a%20b%2Bc&delimiter=%2F&list-type=2",
	 "host:127.0.0.1:8000\n"
	 "x-amz-meta-caps:Value\n"
	 "content-md5:4gJE4saaMU4BqNR0kLY+lw==\n"
	 "x-amz-date:20261121T044937Z\n"
	 "x-amz-content-sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\n"
	 "authorization:AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20261121/us-east-1/s3/aws4_request, SignedHeaders=content-md5;host;x-amz-content-sha256;x-amz-date;x-amz-meta-caps, Signature=9915e4a70c5ba333fc0ebefe61b1d70fd9669c2611cea0d7ae836323e4d26114\n"},
	{"header", "GET", "/repo/main/%25?b=2&b=1&a=&B=x&a-b=y&a=0",
	 "host:127.0.0.1:8000\n"
	 "x-amz-date:20261121T044937Z\n"
	 "x-amz-security-token:tok/en+with=signs\n"
	 "x-amz-content-sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\n"
	 "authorization:AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20261121/us-east-1/s3/aws4_request, SignedHeaders=host;x-amz-content-sha256;x-amz-date;x-amz-security-token, Signature=03ba8c7804ea2066f70c052004b68c7445435c44e2a78f52d80f0fe435c139ad\n"},
	{"header", "HEAD", "/repo/main/%25?prefix=fran%C3%A7ais%40%26%3D%25&marker=%2F%2F&uploads=",
	 "host:127.0.0.1:8000\n"
	 "x-amz-meta-spaces:a   b    c\n"
	 "content-type:text/plain; charset=utf-8\n"
	 "x-amz-date:20261121T044937Z\n"
	 "x-amz-content-sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\n"
	 "authorization:AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20261121/us-east-1/s3/aws4_request, SignedHeaders=content-type;host;x-amz-content-sha256;x-amz-date;x-amz-meta-spaces, Signature=061c9581e1240a82d4ff36289fdb19585df4ed8a1b2bbd2c254fe43bbfb7773a\n"},
	{"header", "POST", "/repo/main/%25?partNumber=7&uploadId=a%2Bb%2Fc%3D%3D&x-id=UploadPart",
	 "host:127.0.0.1:8000\n"
	 "x-amz-meta-empty:\n"
	 "x-amz-copy-source:/repo/main/a%20b\n"
	 "range:bytes=0-9\n"
	 "x-amz-date:20261121T044937Z\n"
	 "x-amz-content-sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\n"
	 "authorization:AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20261121/us-east-1/s3/aws4_request, SignedHeaders=host;range;x-amz-content-sha256;x-amz-copy-source;x-amz-date;x-amz-meta-empty, Signature=a5092a733d5e9ef116fb85a1083c3081e059df1f5bdde1749467670832d4b765\n"},
	{"query", "GET", "/repo/main/plain.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20261121%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20261121T044937Z&X-Amz-Expires=3600&X-Amz-SignedHeaders=host&X-Amz-Security-Token=tok%2Fen%2Bwith%3Dsigns&X-Amz-Signature=a779353fde956d31ac9aa482e7dc4b3ae078892cd220a5576ecbf795cf970f4b",
	 "host:127.0.0.1:8000\n"},
	{"query", "HEAD", "/repo/main/plain.txt?acl=&X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20261121%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20261121T044937Z&X-Amz-Expires=3600&X-Amz-SignedHeaders=content-type%3Bhost%3Bx-amz-meta-spaces&X-Amz-Signature=273ed9a143e79c6e96add7353e42018a39583afd40b6439bb61a0a584cba6144",
	 "host:127.0.0.1:8000\n"
	 "x-amz-meta-spaces:a   b    c\n"
	 "content-type:text/plain; charset=utf-8\n"},
	{"query", "POST", "/repo/main/plain.txt?prefix=a%20b%2Bc&delimiter=%2F&list-type=2&X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20261121%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20261121T044937Z&X-Amz-Expires=3600&X-Amz-SignedHeaders=host%3Brange%3Bx-amz-copy-source%3Bx-amz-meta-empty&X-Amz-Signature=478bb89c51590ba7228967321a12666ca0ccec4af41ce3c168d3540856897744",
	 "host:127.0.0.1:8000\n"
	 "x-amz-meta-empty:\n"
	 "x-amz-copy-source:/repo/main/a%20b\n"
	 "range:bytes=0-9\n"},
	{"query", "PUT", "/repo/main/plain.txt?b=2&a=&B=x&a-b=y&X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20261121%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20261121T044937Z&X-Amz-Expires=3600&X-Amz-SignedHeaders=content-md5%3Bhost%3Bx-amz-meta-caps&X-Amz-Security-Token=tok%2Fen%2Bwith%3Dsigns&X-Amz-Signature=ece27d2f7828dfacd965026e6ffcd8975cb1a9b7f93ee0fcb31a51f620bdd4ba",
	 "host:127.0.0.1:8000\n"
	 "x-amz-meta-caps:Value\n"
	 "content-md5:4gJE4saaMU4BqNR0kLY+lw==\n"},
	{"query", "DELETE", "/repo/main/plain.txt?prefix=fran%C3%A7ais%40%26%3D%25&marker=%2F%2F&uploads=&X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20261121%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20261121T044937Z&X-Amz-Expires=3600&X-Amz-SignedHeaders=host&X-Amz-Signature=534e243f373a3a295d68a7cfc398a4a36f52f4140acbc5e82477f9c0d6e56a32",
	 "host:127.0.0.1:8000\n"},
	{"query", "GET", "/repo/main/plain.txt?partNumber=7&uploadId=a%2Bb%2Fc%3D%3D&x-id=UploadPart&X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20261121%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20261121T044937Z&X-Amz-Expires=3600&X-Amz-SignedHeaders=content-type%3Bhost%3Bx-amz-meta-spaces&X-Amz-Signature=afbf5d5797b5f0fcc68a9142fa2c3f54fd8b09290b029aebeea385f1f5f7f311",
	 "host:127.0.0.1:8000\n"
	 "x-amz-meta-spaces:a   b    c\n"
	 "content-type:text/plain; charset=utf-8\n"},
	{"query", "PUT", "/repo/main/dir/with%20space/and%2Bplus?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20261121%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20261121T044937Z&X-Amz-Expires=3600&X-Amz-SignedHeaders=content-type%3Bhost%3Bx-amz-meta-spaces&X-Amz-Signature=4256877db0501be781ba6d6e1afe1ab1f19011d8870de2ae6dda5101f0a0b677",
	 "host:127.0.0.1:8000\n"
	 "x-amz-meta-spaces:a   b    c\n"
	 "content-type:text/plain; charset=utf-8\n"},
	{"query", "DELETE", "/repo/main/dir/with%20space/and%2Bplus?acl=&X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20261121%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20261121T044937Z&X-Amz-Expires=3600&X-Amz-SignedHeaders=host%3Brange%3Bx-amz-copy-source%3Bx-amz-meta-empty&X-Amz-Signature=9b66f211c3e4c90c9fea92bddd3d0d0adef6ff9704200da33ba84191d0602c62",
	 "host:127.0.0.1:8000\n"
	 "x-amz-meta-empty:\n"
	 "x-amz-copy-source:/repo/main/a%20b\n"
	 "range:bytes=0-9\n"},
	{"query", "GET", "/repo/main/dir/with%20space/and%2Bplus?prefix=a%20b%2Bc&delimiter=%2F&list-type=2&X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20261121%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20261121T044937Z&X-Amz-Expires=3600&X-Amz-SignedHeaders=content-md5%3Bhost%3Bx-amz-meta-caps&X-Amz-Security-Token=tok%2Fen%2Bwith%3Dsigns&X-Amz-Signature=0f5f88514cb8aa7abbabf102da8ff27d98a1aaaf91d159620ca1f4aacad15be8",
	 "host:127.0.0.1:8000\n"
	 "x-amz-meta-caps:Value\n"
	 "content-md5:4gJE4saaMU4BqNR0kLY+lw==\n"},
	{"query", "HEAD", "/repo/main/dir/with%20space/and%2Bplus?b=2&a=&B=x&a-b=y&X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20261121%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20261121T044937Z&X-Amz-Expires=3600&X-Amz-SignedHeaders=host&X-Amz-Signature=0d0d7198a7252e24009b33e30f3f8c52e8073af93c94688d0aacc630c5e13042",
	 "host:127.0.0.1:8000\n"},
	{"query", "POST", "/repo/main/dir/with%20space/and%2Bplus?prefix=fran%C3%A7ais%40%26%3D%25&marker=%2F%2F&uploads=&X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20261121%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20261121T044937Z&X-Amz-Expires=3600&X-Amz-SignedHeaders=content-type%3Bhost%3Bx-amz-meta-spaces&X-Amz-Signature=6082ff9e85eff98b081c4a34ce11223031feafaa8fe56ebcace377d940c183ef",
	 "host:127.0.0.1:8000\n"
	 "x-amz-meta-spaces:a   b    c\n"
	 "content-type:text/plain; charset=utf-8\n"},
	{"query", "PUT", "/repo/main/dir/with%20space/and%2Bplus?partNumber=7&uploadId=a%2Bb%2Fc%3D%3D&x-id=UploadPart&X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20261121%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20261121T044937Z&X-Amz-Expires=3600&X-Amz-SignedHeaders=host%3Brange%3Bx-amz-copy-source%3Bx-amz-meta-empty&X-Amz-Security-Token=tok%2Fen%2Bwith%3Dsigns&X-Amz-Signature=8522acb7f17d334890d8fff8adf7b7cdde984647404eeba94d1758fba41fbd00",
	 "host:127.0.0.1:8000\n"
	 "x-amz-meta-empty:\n"
	 "x-amz-copy-source:/repo/main/a%20b\n"
	 "range:bytes=0-9\n"},
	{"query", "HEAD", "/repo/main/a%40b%3Dc%26d%3Be%3Af%2Cg%21h%24i%27%28j%29%2Ak~l?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20261121%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20261121T044937Z&X-Amz-Expires=3600&X-Amz-SignedHeaders=host%3Brange%3Bx-amz-copy-source%3Bx-amz-meta-empty&X-Amz-Signature=f025cb49d3c30eb8a364042fed0cea0c685ddac3fcbbced3e50206b2b18348fc",
	 "host:127.0.0.1:8000\n"
	 "x-amz-meta-empty:\n"
	 "x-amz-copy-source:/repo/main/a%20b\n"
	 "range:bytes=0-9\n"},
	{"query", "POST", "/repo/main/a%40b%3Dc%26d%3Be%3Af%2Cg%21h%24i%27%28j%29%2Ak~l?acl=&X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20261121%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20261121T044937Z&X-Amz-Expires=3600&X-Amz-SignedHeaders=content-md5%3Bhost%3Bx-amz-meta-caps&X-Amz-Security-Token=tok%2Fen%2Bwith%3Dsigns&X-Amz-Signature=e3c80151c5947fba7a0c248e403e34fbb506d69bf28577eefc1aac1d9ac1ddad",
	 "host:127.0.0.1:8000\n"
	 "x-amz-meta-caps:Value\n"
	 "content-md5:4gJE4saaMU4BqNR0kLY+lw==\n"},
	{"query", "PUT", "/repo/main/a%40b%3Dc%26d%3Be%3Af%2Cg%21h%24i%27%28j%29%2Ak~l?prefix=a%20b%2Bc&delimiter=%2F&list-type=2&X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20261121%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20261121T044937Z&X-Amz-Expires=3600&X-Amz-SignedHeaders=host&X-Amz-Signature=34b98eb47779d4502867398e0667abf5c2dfc0151efc27b793e6da6217cfe892",
	 "host:127.0.0.1:8000\n"},
	{"query", "DELETE", "/repo/main/a%40b%3Dc%26d%3Be%3Af%2Cg%21h%24i%27%28j%29%2Ak~l?b=2&a=&B=x&a-b=y&X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20261121%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20261121T044937Z&X-Amz-Expires=3600&X-Amz-SignedHeaders=content-type%3Bhost%3Bx-amz-meta-spaces&X-Amz-Signature=7e63de7ed14f70f5b9c8b14216501f642b76d93baa63bc30cbdd1e8ef855fc62",
	 "host:127.0.0.1:8000\n"
	 "x-amz-meta-spaces:a   b    c\n"
	 "content-type:text/plain; charset=utf-8\n"},
	{"query", "GET", "/repo/main/a%40b%3Dc%26d%3Be%3Af%2Cg%21h%24i%27%28j%29%2Ak~l?prefix=fran%C3%A7ais%40%26%3D%25&marker=%2F%2F&uploads=&X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20261121%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20261121T044937Z&X-Amz-Expires=3600&X-Amz-SignedHeaders=host%3Brange%3Bx-amz-copy-source%3Bx-amz-meta-empty&X-Amz-Security-Token=tok%2Fen%2Bwith%3Dsigns&X-Amz-Signature=92b664c2f293684f2664483190859751b1c5dd4904cb9dd0155f51db4ece0bdb",
	 "host:127.0.0.1:8000\n"
	 "x-amz-meta-empty:\n"
	 "x-amz-copy-source:/repo/main/a%20b\n"
	 "range:bytes=0-9\n"},
	{"query", "HEAD", "/repo/main/a%40b%3Dc%26d%3Be%3Af%2Cg%21h%24i%27%28j%29%2Ak~l?partNumber=7&uploadId=a%2Bb%2Fc%3D%3D&x-id=UploadPart&X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20261121%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20261121T044937Z&X-Amz-Expires=3600&X-Amz-SignedHeaders=content-md5%3Bhost%3Bx-amz-meta-caps&X-Amz-Signature=813c5c959edabe434bf10a15b5fce24e19efa69e812503e1177fd79ec6f285f5",
	 "host:127.0.0.1:8000\n"
	 "x-amz-meta-caps:Value\n"
	 "content-md5:4gJE4saaMU4BqNR0kLY+lw==\n"},
	{"query", "DELETE", "/repo/main/percent%2541literal%252Fand%2525?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20261121%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20261121T044937Z&X-Amz-Expires=3600&X-Amz-SignedHeaders=content-md5%3Bhost%3Bx-amz-meta-caps&X-Amz-Security-Token=tok%2Fen%2Bwith%3Dsigns&X-Amz-Signature=61612bfa014669cb2d839b4aaa267aa066f4ac36289c355e6bb00281d2dbe77f",
	 "host:127.0.0.1:8000\n"
	 "x-amz-meta-caps:Value\n"
	 "content-md5:4gJE4saaMU4BqNR0kLY+lw==\n"},
	{"query", "GET", "/repo/main/percent%2541literal%252Fand%2525?acl=&X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20261121%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20261121T044937Z&X-Amz-Expires=3600&X-Amz-SignedHeaders=host&X-Amz-Signature=11b07c1c61b3af875ba6c3447554ce71044e16f4487f3584805497fabc99ec52",
	 "host:127.0.0.1:8000\n"},
	{"query", "HEAD", "/repo/main/percent%2541literal%252Fand%2525?prefix=a%20b%2Bc&delimiter=%2F&list-type=2&X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20261121%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20261121T044937Z&X-Amz-Expires=3600&X-Amz-SignedHeaders=content-type%3Bhost%3Bx-amz-meta-spaces&X-Amz-Signature=de24ea28dae4d568794009dc3292423d4c34d8dda0c29611bde48e1073aa6e8f",
	 "host:127.0.0.1:8000\n"
	 "x-amz-meta-spaces:a   b    c\n"
	 "content-type:text/plain; charset=utf-8\n"},
	{"query", "POST", "/repo/main/percent%2541literal%252Fand%2525?b=2&a=&B=x&a-b=y&X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20261121%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20261121T044937Z&X-Amz-Expires=3600&X-Amz-SignedHeaders=host%3Brange%3Bx-amz-copy-source%3Bx-amz-meta-empty&X-Amz-Security-Token=tok%2Fen%2Bwith%3Dsigns&X-Amz-Signature=f44eff3b997cb89fbabd5fd3d42172a4fce65c9f5f6ed4568c9814cf4bb7ca37",
	 "host:127.0.0.1:8000\n"
	 "x-amz-meta-empty:\n"
	 "x-amz-copy-source:/repo/main/a%20b\n"
	 "range:bytes=0-9\n"},
	{"query", "PUT", "/repo/main/percent%2541literal%252Fand%2525?prefix=fran%C3%A7ais%40%26%3D%25&marker=%2F%2F&uploads=&X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20261121%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20261121T044937Z&X-Amz-Expires=3600&X-Amz-SignedHeaders=content-md5%3Bhost%3Bx-amz-meta-caps&X-Amz-Signature=f9a522af7dc33adc55d7b8b12179189276c15f2fe7e7de1dbd3a1635f7e1a3b0",
	 "host:127.0.0.1:8000\n"
	 "x-amz-meta-caps:Value\n"
	 "content-md5:4gJE4saaMU4BqNR0kLY+lw==\n"},
	{"query", "DELETE", "/repo/main/percent%2541literal%252Fand%2525?partNumber=7&uploadId=a%2Bb%2Fc%3D%3D&x-id=UploadPart&X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20261121%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20261121T044937Z&X-Amz-Expires=3600&X-Amz-SignedHeaders=host&X-Amz-Signature=4af243abf7aa1cb6b6452d849da32c6c77afb18197af34e7fe6b8eae6da2efb7",
	 "host:127.0.0.1:8000\n"},
	{"query", "POST", "/repo/main///double//slash///?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20261121%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20261121T044937Z&X-Amz-Expires=3600&X-Amz-SignedHeaders=host&X-Amz-Signature=7bb8413571e4e0f2dc4a85268bc093c5ffab88463be9db002b7ba555d984c23a",
	 "host:127.0.0.1:8000\n"},
	{"query", "PUT", "/repo/main///double//slash///?acl=&X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20261121%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20261121T044937Z&X-Amz-Expires=3600&X-Amz-SignedHeaders=content-type%3Bhost%3Bx-amz-meta-spaces&X-Amz-Signature=1449789445829a702be93a8c55c28a48fe8396198940ea7536be8095b2c31f3a",
	 "host:127.0.0.1:8000\n"
	 "x-amz-meta-spaces:a   b    c\n"
	 "content-type:text/plain; charset=utf-8\n"},
	{"query", "DELETE", "/repo/main///double//slash///?prefix=a%20b%2Bc&delimiter=%2F&list-type=2&X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20261121%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20261121T044937Z&X-Amz-Expires=3600&X-Amz-SignedHeaders=host%3Brange%3Bx-amz-copy-source%3Bx-amz-meta-empty&X-Amz-Security-Token=tok%2Fen%2Bwith%3Dsigns&X-Amz-Signature=dc87a4d9763f896d66e15287e2b00deb6494f8c1911a7f903edb47f21beb8190",
	 "host:127.0.0.1:8000\n"
	 "x-amz-meta-empty:\n"
	 "x-amz-copy-source:/repo/main/a%20b\n"
	 "range:bytes=0-9\n"},
	{"query", "GET", "/repo/main///double//slash///?b=2&a=&B=x&a-b=y&X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20261121%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20261121T044937Z&X-Amz-Expires=3600&X-Amz-SignedHeaders=content-md5%3Bhost%3Bx-amz-meta-caps&X-Amz-Signature=950be57926724143bcf59e110c5e54f8094285abcaca335470fbfdb53bf8cacb",
	 "host:127.0.0.1:8000\n"
	 "x-amz-meta-caps:Value\n"
	 "content-md5:4gJE4saaMU4BqNR0kLY+lw==\n"},
	{"query", "HEAD", "/repo/main///double//slash///?prefix=fran%C3%A7ais%40%26%3D%25&marker=%2F%2F&uploads=&X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20261121%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20261121T044937Z&X-Amz-Expires=3600&X-Amz-SignedHeaders=host&X-Amz-Signature=d6d1e93d45d7e8b198ade14ec083d2edce88a8622a613509ac10512cc65cf980",
	 "host:127.0.0.1:8000\n"},
	{"query", "POST", "/repo/main///double//slash///?partNumber=7&uploadId=a%2Bb%2Fc%3D%3D&x-id=UploadPart&X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20261121%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20261121T044937Z&X-Amz-Expires=3600&X-Amz-SignedHeaders=content-type%3Bhost%3Bx-amz-meta-spaces&X-Amz-Security-Token=tok%2Fen%2Bwith%3Dsigns&X-Amz-Signature=983b1471811d570352c84890fcc0585bd2078f3befa9a06d43ea715359a53eb0",
	 "host:127.0.0.1:8000\n"
	 "x-amz-meta-spaces:a   b    c\n"
	 "content-type:text/plain; charset=utf-8\n"},
	{"query", "GET", "/repo/main/./dot/../dots/./.?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20261121%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20261121T044937Z&X-Amz-Expires=3600&X-Amz-SignedHeaders=content-type%3Bhost%3Bx-amz-meta-spaces&X-Amz-Signature=40b1e2351f54152cc1f2b74aa92050d9a2c94938bdf2c7c979f12d4f870f8b2f",
	 "host:127.0.0.1:8000\n"
	 "x-amz-meta-spaces:a   b    c\n"
	 "content-type:text/plain; charset=utf-8\n"},
	{"query", "HEAD", "/repo/main/./dot/../dots/./.?acl=&X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20261121%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20261121T044937Z&X-Amz-Expires=3600&X-Amz-SignedHeaders=host%3Brange%3Bx-amz-copy-source%3Bx-amz-meta-empty&X-Amz-Security-Token=tok%2Fen%2Bwith%3Dsigns&X-Amz-Signature=8418a54a81ade2f23f500aeeeea5b82d3bbd6e0e3232c68f65024e7a2899a63a",
	 "host:127.0.0.1:8000\n"
	 "x-amz-meta-empty:\n"
	 "x-amz-copy-source:/repo/main/a%20b\n"
	 "range:bytes=0-9\n"},
	{"query", "POST", "/repo/main/./dot/../dots/./.?prefix=a%20b%2Bc&delimiter=%2F&list-type=2&X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20261121%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20261121T044937Z&X-Amz-Expires=3600&X-Amz-SignedHeaders=content-md5%3Bhost%3Bx-amz-meta-caps&X-Amz-Signature=713efdb206db85b191c6378630b02943a9d089b75d786538c4572b7edc5aff65",
	 "host:127.0.0.1:8000\n"
	 "x-amz-meta-caps:Value\n"
	 "content-md5:4gJE4saaMU4BqNR0kLY+lw==\n"},
	{"query", "PUT", "/repo/main/./dot/../dots/./.?b=2&a=&B=x&a-b=y&X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20261121%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20261121T044937Z&X-Amz-Expires=3600&X-Amz-SignedHeaders=host&X-Amz-Signature=89a8293197d13508b3ea5fdfa0ee4201625cbb733dd28950ca8cd699d081d77d",
	 "host:127.0.0.1:8000\n"},
	{"query", "DELETE", "/repo/main/./dot/../dots/./.?prefix=fran%C3%A7ais%40%26%3D%25&marker=%2F%2F&uploads=&X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20261121%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20261121T044937Z&X-Amz-Expires=3600&X-Amz-SignedHeaders=content-type%3Bhost%3Bx-amz-meta-spaces&X-Amz-Security-Token=tok%2Fen%2Bwith%3Dsigns&X-Amz-Signature=20767595566301ee5d17a3a852c09b84623344066663367f9362d37dee8ef353",
	 "host:127.0.0.1:8000\n"
	 "x-amz-meta-spaces:a   b    c\n"
	 "content-type:text/plain; charset=utf-8\n"},
	{"query", "GET", "/repo/main/./dot/../dots/./.?partNumber=7&uploadId=a%2Bb%2Fc%3D%3D&x-id=UploadPart&X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20261121%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20261121T044937Z&X-Amz-Expires=3600&X-Amz-SignedHeaders=host%3Brange%3Bx-amz-copy-source%3Bx-amz-meta-empty&X-Amz-Signature=961a3e2ebe728f7ae679d7b511f327c178263fe1dcea3ee0c0f4f1c159128a28",
	 "host:127.0.0.1:8000\n"
	 "x-amz-meta-empty:\n"
	 "x-amz-copy-source:/repo/main/a%20b\n"
	 "range:bytes=0-9\n"},
	{"query", "PUT", "/repo/main/fran%C3%A7ais/%E6%97%A5%E6%9C%AC%E8%AA%9E/%F0%9F%98%80?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20261121%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20261121T044937Z&X-Amz-Expires=3600&X-Amz-SignedHeaders=host%3Brange%3Bx-amz-copy-source%3Bx-amz-meta-empty&X-Amz-Security-Token=tok%2Fen%2Bwith%3Dsigns&X-Amz-Signature=6b0d75b68875b2b880ffe66fd0880aa699f176239321b4fd287813dee11161fb",
	 "host:127.0.0.1:8000\n"
	 "x-amz-meta-empty:\n"
	 "x-amz-copy-source:/repo/main/a%20b\n"
	 "range:bytes=0-9\n"},
	{"query", "DELETE", "/repo/main/fran%C3%A7ais/%E6%97%A5%E6%9C%AC%E8%AA%9E/%F0%9F%98%80?acl=&X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20261121%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20261121T044937Z&X-Amz-Expires=3600&X-Amz-SignedHeaders=content-md5%3Bhost%3Bx-amz-meta-caps&X-Amz-Signature=c87e8ca232c281e3d6f971664d1c8569ae227f805c8990035e862eb6494c94ef",
	 "host:127.0.0.1:8000\n"
	 "x-amz-meta-caps:Value\n"
	 "content-md5:4gJE4saaMU4BqNR0kLY+lw==\n"},
	{"query", "GET", "/repo/main/fran%C3%A7ais/%E6%97%A5%E6%9C%AC%E8%AA%9E/%F0%9F%98%80?prefix=a%20b%2Bc&delimiter=%2F&list-type=2&X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20261121%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20261121T044937Z&X-Amz-Expires=3600&X-Amz-SignedHeaders=host&X-Amz-Signature=0cc568378f4f554744a6bd48a7890a685582bc594564d58d853dc91134c2c0d8",
	 "host:127.0.0.1:8000\n"},
	{"query", "HEAD", "/repo/main/fran%C3%A7ais/%E6%97%A5%E6%9C%AC%E8%AA%9E/%F0%9F%98%80?b=2&a=&B=x&a-b=y&X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20261121%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20261121T044937Z&X-Amz-Expires=3600&X-Amz-SignedHeaders=content-type%3Bhost%3Bx-amz-meta-spaces&X-Amz-Security-Token=tok%2Fen%2Bwith%3Dsigns&X-Amz-Signature=912e1732ef90fad25d60ae0111ba18ba59af820dd778f5fff20d266a9dd8dd81",
	 "host:127.0.0.1:8000\n"
	 "x-amz-meta-spaces:a   b    c\n"
	 "content-type:text/plain; charset=utf-8\n"},
	{"query", "POST", "/repo/main/fran%C3%A7ais/%E6%97%A5%E6%9C%AC%E8%AA%9E/%F0%9F%98%80?prefix=fran%C3%A7ais%40%26%3D%25&marker=%2F%2F&uploads=&X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20261121%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20261121T044937Z&X-Amz-Expires=3600&X-Amz-SignedHeaders=host%3Brange%3Bx-amz-copy-source%3Bx-amz-meta-empty&X-Amz-Signature=329b3228282de17f9f80b644b31af553f1bb3ea1535da2fa89d28d9bc548dfde",
	 "host:127.0.0.1:8000\n"
	 "x-amz-meta-empty:\n"
	 "x-amz-copy-source:/repo/main/a%20b\n"
	 "range:bytes=0-9\n"},
	{"query", "PUT", "/repo/main/fran%C3%A7ais/%E6%97%A5%E6%9C%AC%E8%AA%9E/%F0%9F%98%80?partNumber=7&uploadId=a%2Bb%2Fc%3D%3D&x-id=UploadPart&X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20261121%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20261121T044937Z&X-Amz-Expires=3600&X-Amz-SignedHeaders=content-md5%3Bhost%3Bx-amz-meta-caps&X-Amz-Signature=1f492db46469cc7dfebbaebf75d869bce310374b4b07cc21a41bcffb6eaa0708",
	 "host:127.0.0.1:8000\n"
	 "x-amz-meta-caps:Value\n"
	 "content-md5:4gJE4saaMU4BqNR0kLY+lw==\n"},
	{"query", "HEAD", "/repo/main/quote%22%3C%3E%5C%5E%60%7B%7C%7D%23%3F%5B%5D?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20261121%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20261121T044937Z&X-Amz-Expires=3600&X-Amz-SignedHeaders=content-md5%3Bhost%3Bx-amz-meta-caps&X-Amz-Signature=d8b5c6b61610608a19e09c1b77f010a4bcf849e47954b8592730744ec4a05bc5",
	 "host:127.0.0.1:8000\n"
	 "x-amz-meta-caps:Value\n"
	 "content-md5:4gJE4saaMU4BqNR0kLY+lw==\n"},
	{"query", "POST", "/repo/main/quote%22%3C%3E%5C%5E%60%7B%7C%7D%23%3F%5B%5D?acl=&X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20261121%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20261121T044937Z&X-Amz-Expires=3600&X-Amz-SignedHeaders=host&X-Amz-Signature=b3cdf84770569210ee9aa708f8c1f5230cecee84d78f642f39532e0ad72aaa7e",
	 "host:127.0.0.1:8000\n"},
	{"query", "PUT", "/repo/main/quote%22%3C%3E%5C%5E%60%7B%7C%7D%23%3F%5B%5D?prefix=a%20b%2Bc&delimiter=%2F&list-type=2&X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20261121%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20261121T044937Z&X-Amz-Expires=3600&X-Amz-SignedHeaders=content-type%3Bhost%3Bx-amz-meta-spaces&X-Amz-Security-Token=tok%2Fen%2Bwith%3Dsigns&X-Amz-Signature=b345f8dc2a44e19c77dd155a6f02d960a3e8b75dd3b17a14f8ecb8db40a7393f",
	 "host:127.0.0.1:8000\n"
	 "x-amz-meta-spaces:a   b    c\n"
	 "content-type:text/plain; charset=utf-8\n"},
	{"query", "DELETE", "/repo/main/quote%22%3C%3E%5C%5E%60%7B%7C%7D%23%3F%5B%5D?b=2&a=&B=x&a-b=y&X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20261121%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20261121T044937Z&X-Amz-Expires=3600&X-Amz-SignedHeaders=host%3Brange%3Bx-amz-copy-source%3Bx-amz-meta-empty&X-Amz-Signature=06f88a9c0e3b0b25210cd71d0b3e3ffdd42c6b4224addbb70a3883bf53b0b968",
	 "host:127.0.0.1:8000\n"
	 "x-amz-meta-empty:\n"
	 "x-amz-copy-source:/repo/main/a%20b\n"
	 "range:bytes=0-9\n"},
	{"query", "GET", "/repo/main/quote%22%3C%3E%5C%5E%60%7B%7C%7D%23%3F%5B%5D?prefix=fran%C3%A7ais%40%26%3D%25&marker=%2F%2F&uploads=&X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20261121%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20261121T044937Z&X-Amz-Expires=3600&X-Amz-SignedHeaders=content-md5%3Bhost%3Bx-amz-meta-caps&X-Amz-Signature=8ddb6d9795fba05d4bb86a3330271d57fa67eebfe4e78999dc540fe75ae11ea1",
	 "host:127.0.0.1:8000\n"
	 "x-amz-meta-caps:Value\n"
	 "content-md5:4gJE4saaMU4BqNR0kLY+lw==\n"},
	{"query", "HEAD", "/repo/main/quote%22%3C%3E%5C%5E%60%7B%7C%7D%23%3F%5B%5D?partNumber=7&uploadId=a%2Bb%2Fc%3D%3D&x-id=UploadPart&X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20261121%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20261121T044937Z&X-Amz-Expires=3600&X-Amz-SignedHeaders=host&X-Amz-Security-Token=tok%2Fen%2Bwith%3Dsigns&X-Amz-Signature=c78a58666847a0b4f107bcb31bc65c7313716db50721314620a7a769eee25e62",
	 "host:127.0.0.1:8000\n"},
	{"query", "DELETE", "/repo/main/tab%09and%7Fcontrol%01?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20261121%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20261121T044937Z&X-Amz-Expires=3600&X-Amz-SignedHeaders=host&X-Amz-Signature=f3aa053d368f7f347deef0d9cddb0fa8fa33d8ececca35a0aedafe9cbbe730a8",
	 "host:127.0.0.1:8000\n"},
	{"query", "GET", "/repo/main/tab%09and%7Fcontrol%01?acl=&X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20261121%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20261121T044937Z&X-Amz-Expires=3600&X-Amz-SignedHeaders=content-type%3Bhost%3Bx-amz-meta-spaces&X-Amz-Security-Token=tok%2Fen%2Bwith%3Dsigns&X-Amz-Signature=7ee19befeca908336b1b094209e1c2b2eba061801deb340a2c59043d3fc6d495",
	 "host:127.0.0.1:8000\n"
	 "x-amz-meta-spaces:a   b    c\n"
	 "content-type:text/plain; charset=utf-8\n"},
	{"query", "HEAD", "/repo/main/tab%09and%7Fcontrol%01?prefix=a%20b%2Bc&delimiter=%2F&list-type=2&X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20261121%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20261121T044937Z&X-Amz-Expires=3600&X-Amz-SignedHeaders=host%3Brange%3Bx-amz-copy-source%3Bx-amz-meta-empty&X-Amz-Signature=eca51fb4ea9c6b1aa1a29b9703dcc4a39591b36b8e05bac5002fca67df98cd04",
	 "host:127.0.0.1:8000\n"
	 "x-amz-meta-empty:\n"
	 "x-amz-copy-source:/repo/main/a%20b\n"
	 "range:bytes=0-9\n"},
	{"query", "POST", "/repo/main/tab%09and%7Fcontrol%01?b=2&a=&B=x&a-b=y&X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20261121%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20261121T044937Z&X-Amz-Expires=3600&X-Amz-SignedHeaders=content-md5%3Bhost%3Bx-amz-meta-caps&X-Amz-Signature=26c1293e5c30cb489ee83cc00189fb160f89abfa78c07db25a3b481a727568aa",
	 "host:127.0.0.1:8000\n"
	 "x-amz-meta-caps:Value\n"
	 "content-md5:4gJE4saaMU4BqNR0kLY+lw==\n"},
	{"query", "PUT", "/repo/main/tab%09and%7Fcontrol%01?prefix=fran%C3%A7ais%40%26%3D%25&marker=%2F%2F&uploads=&X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20261121%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20261121T044937Z&X-Amz-Expires=3600&X-Amz-SignedHeaders=host&X-Amz-Security-Token=tok%2Fen%2Bwith%3Dsigns&X-Amz-Signature=607a28be294fb95a004bc446b009ef0a846b69891b6f468db05bcb1266dc57aa",
	 "host:127.0.0.1:8000\n"},
	{"query", "DELETE", "/repo/main/tab%09and%7Fcontrol%01?partNumber=7&uploadId=a%2Bb%2Fc%3D%3D&x-id=UploadPart&X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20261121%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20261121T044937Z&X-Amz-Expires=3600&X-Amz-SignedHeaders=content-type%3Bhost%3Bx-amz-meta-spaces&X-Amz-Signature=7c99bbd41ec256368334ed1f02bf9580bad9370ab0efdd43a62b0749d10380b4",
	 "host:127.0.0.1:8000\n"
	 "x-amz-meta-spaces:a   b    c\n"
	 "content-type:text/plain; charset=utf-8\n"},
	{"query", "POST", "/repo/main/%25?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20261121%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20261121T044937Z&X-Amz-Expires=3600&X-Amz-SignedHeaders=content-type%3Bhost%3Bx-amz-meta-spaces&X-Amz-Security-Token=tok%2Fen%2Bwith%3Dsigns&X-Amz-Signature=f93b1675c7fcf5e37115a2e0e1e0ff85df23e38d214166a57654baa4fd082d35",
	 "host:127.0.0.1:8000\n"
	 "x-amz-meta-spaces:a   b    c\n"
	 "content-type:text/plain; charset=utf-8\n"},
	{"query", "PUT", "/repo/main/%25?acl=&X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20261121%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20261121T044937Z&X-Amz-Expires=3600&X-Amz-SignedHeaders=host%3Brange%3Bx-amz-copy-source%3Bx-amz-meta-empty&X-Amz-Signature=01b630ec5e257668ad2bd012d84ccdc8f7011b73189c2235526a46d0e67c402b",
	 "host:127.0.0.1:8000\n"
	 "x-amz-meta-empty:\n"
	 "x-amz-copy-source:/repo/main/a%20b\n"
	 "range:bytes=0-9\n"},
	{"query", "DELETE", "/repo/main/%25?prefix=a%20b%2Bc&delimiter=%2F&list-type=2&X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20261121%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20261121T044937Z&X-Amz-Expires=3600&X-Amz-SignedHeaders=content-md5%3Bhost%3Bx-amz-meta-caps&X-Amz-Signature=8a30160cd26a7fc09a2695dff1492e9ae22e41310fbf6a3838380524abf78c9a",
	 "host:127.0.0.1:8000\n"
	 "x-amz-meta-caps:Value\n"
	 "content-md5:4gJE4saaMU4BqNR0kLY+lw==\n"},
	{"query", "GET", "/repo/main/%25?b=2&a=&B=x&a-b=y&X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20261121%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20261121T044937Z&X-Amz-Expires=3600&X-Amz-SignedHeaders=host&X-Amz-Security-Token=tok%2Fen%2Bwith%3Dsigns&X-Amz-Signature=a39b3f408e14a934447eae55fb99b2cffc5000e3de6566b3e3bcbfb13c0a3db7",
	 "host:127.0.0.1:8000\n"},
	{"query", "HEAD", "/repo/main/%25?prefix=fran%C3%A7ais%40%26%3D%25&marker=%2F%2F&uploads=&X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20261121%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20261121T044937Z&X-Amz-Expires=3600&X-Amz-SignedHeaders=content-type%3Bhost%3Bx-amz-meta-spaces&X-Amz-Signature=7be1b901f538f5114defa6a1dc9555273ed233de3bc9c575d6814cbb1c8da2bf",
	 "host:127.0.0.1:8000\n"
	 "x-amz-meta-spaces:a   b    c\n"
	 "content-type:text/plain; charset=utf-8\n"},
	{"query", "POST", "/repo/main/%25?partNumber=7&uploadId=a%2Bb%2Fc%3D%3D&x-id=UploadPart&X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20261121%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20261121T044937Z&X-Amz-Expires=3600&X-Amz-SignedHeaders=host%3Brange%3Bx-amz-copy-source%3Bx-amz-meta-empty&X-Amz-Signature=d6a0df621771cd33d850367967b3c8b0611ce1db68125b8d4023d7a50262e798",
	 "host:127.0.0.1:8000\n"
	 "x-amz-meta-empty:\n"
	 "x-amz-copy-source:/repo/main/a%20b\n"
	 "range:bytes=0-9\n"},
	{"v2", "GET", "/repo/main/plain.txt",
	 "host:127.0.0.1:8000\n"
	 "x-amz-security-token:tok/en+with=signs\n"
	 "date:Sat, 21 Nov 2026 04:49:37 GMT\n"
	 "authorization:AWS AKIAIOSFODNN7EXAMPLE:cOvrKIH4/PU5sW17Fw8cprBL7Cs=\n"},
	{"v2", "HEAD", "/repo/main/plain.txt?acl",
	 "host:127.0.0.1:8000\n"
	 "x-amz-meta-spaces:a   b    c\n"
	 "content-type:text/plain; charset=utf-8\n"
	 "date:Sat, 21 Nov 2026 04:49:37 GMT\n"
	 "authorization:AWS AKIAIOSFODNN7EXAMPLE:xwd1RmAlNPxQ0HaPiQ/Cmi81CYU=\n"},
	{"v2", "POST", "/repo/main/plain.txt?prefix=a%20b%2Bc&delimiter=%2F&list-type=2",
	 "host:127.0.0.1:8000\n"
	 "x-amz-meta-empty:\n"
	 "x-amz-copy-source:/repo/main/a%20b\n"
	 "range:bytes=0-9\n"
	 "date:Sat, 21 Nov 2026 04:49:37 GMT\n"
	 "authorization:AWS AKIAIOSFODNN7EXAMPLE:Ehb+Ne6OiqwxuQJwK/+Ts0AfXgs=\n"},
	{"v2", "PUT", "/repo/main/plain.txt?b=2&b=1&a=&B=x&a-b=y&a=0",
	 "host:127.0.0.1:8000\n"
	 "x-amz-meta-caps:Value\n"
	 "content-md5:4gJE4saaMU4BqNR0kLY+lw==\n"
	 "x-amz-security-token:tok/en+with=signs\n"
	 "date:Sat, 21 Nov 2026 04:49:37 GMT\n"
	 "authorization:AWS AKIAIOSFODNN7EXAMPLE:JWZNJF7t0d66/fHdv1bC1VMkod0=\n"},
	{"v2", "DELETE", "/repo/main/plain.txt?prefix=fran%C3%A7ais%40%26%3D%25&marker=%2F%2F&uploads=",
	 "host:127.0.0.1:8000\n"
	 "date:Sat, 21 Nov 2026 04:49:37 GMT\n"
	 "authorization:AWS AKIAIOSFODNN7EXAMPLE:DotGV7+iZGnLZFDSYesG2yNCIw0=\n"},
	{"v2", "GET", "/repo/main/plain.txt?partNumber=7&uploadId=a%2Bb%2Fc%3D%3D&x-id=UploadPart",
	 "host:127.0.0.1:8000\n"
	 "x-amz-meta-spaces:a   b    c\n"
	 "content-type:text/plain; charset=utf-8\n"
	 "date:Sat, 21 Nov 2026 04:49:37 GMT\n"
	 "authorization:AWS AKIAIOSFODNN7EXAMPLE:GmFOQlFg9yzD0qXrecwAeh/fkWQ=\n"},
	{"v2", "PUT", "/repo/main/dir/with%20space/and%2Bplus",
	 "host:127.0.0.1:8000\n"
	 "x-amz-meta-spaces:a   b    c\n"
	 "content-type:text/plain; charset=utf-8\n"
	 "date:Sat, 21 Nov 2026 04:49:37 GMT\n"
	 "authorization:AWS AKIAIOSFODNN7EXAMPLE:yfxEmv8pCSvUv4a5u24NwCaEIfc=\n"},
	{"v2", "DELETE", "/repo/main/dir/with%20space/and%2Bplus?acl",
	 "host:127.0.0.1:8000\n"
	 "x-amz-meta-empty:\n"
	 "x-amz-copy-source:/repo/main/a%20b\n"
	 "range:bytes=0-9\n"
	 "date:Sat, 21 Nov 2026 04:49:37 GMT\n"
	 "authorization:AWS AKIAIOSFODNN7EXAMPLE:oI+erWFXfSq1Uw1syMshozsipkI=\n"},
	{"v2", "GET", "/repo/main/dir/with%20space/and%2Bplus?prefix=a%20b%2Bc&delimiter=%2F&list-type=2",
	 "host:127.0.0.1:8000\n"
	 "x-amz-meta-caps:Value\n"
	 "content-md5:4gJE4saaMU4BqNR0kLY+lw==\n"
	 "x-amz-security-token:tok/en+with=signs\n"
	 "date:Sat, 21 Nov 2026 04:49:37 GMT\n"
	 "authorization:AWS AKIAIOSFODNN7EXAMPLE:DV8XfDLkRwqaPKAA8WCaE3hjnZQ=\n"},
	{"v2", "HEAD", "/repo/main/dir/with%20space/and%2Bplus?b=2&b=1&a=&B=x&a-b=y&a=0",
	 "host:127.0.0.1:8000\n"
	 "date:Sat, 21 Nov 2026 04:49:37 GMT\n"
	 "authorization:AWS AKIAIOSFODNN7EXAMPLE:G2r/yqY1NbNI+lKt/hKxEzI8Tw8=\n"},
	{"v2", "POST", "/repo/main/dir/with%20space/and%2Bplus?prefix=fran%C3%A7ais%40%26%3D%25&marker=%2F%2F&uploads=",
	 "host:127.0.0.1:8000\n"
	 "x-amz-meta-spaces:a   b    c\n"
	 "content-type:text/plain; charset=utf-8\n"
	 "date:Sat, 21 Nov 2026 04:49:37 GMT\n"
	 "authorization:AWS AKIAIOSFODNN7EXAMPLE:LEj+wZUGofiJwsR570MlnkJAJDQ=\n"},
	{"v2", "PUT", "/repo/main/dir/with%20space/and%2Bplus?partNumber=7&uploadId=a%2Bb%2Fc%3D%3D&x-id=UploadPart",
	 "host:127.0.0.1:8000\n"
	 "x-amz-meta-empty:\n"
	 "x-amz-copy-source:/repo/main/a%20b\n"
	 "range:bytes=0-9\n"
	 "x-amz-security-token:tok/en+with=signs\n"
	 "date:Sat, 21 Nov 2026 04:49:37 GMT\n"
	 "authorization:AWS AKIAIOSFODNN7EXAMPLE:jtXZCePaTYyfd0sPqIgOJl5/eHM=\n"},
	{"v2", "HEAD", "/repo/main/a%40b%3Dc%26d%3Be%3Af%2Cg%21h%24i%27%28j%29%2Ak~l",
	 "host:127.0.0.1:8000\n"
	 "x-amz-meta-empty:\n"
	 "x-amz-copy-source:/repo/main/a%20b\n"
	 "range:bytes=0-9\n"
	 "date:Sat, 21 Nov 2026 04:49:37 GMT\n"
	 "authorization:AWS AKIAIOSFODNN7EXAMPLE:JkDCg850or3Gv8DLYwxGhkhNooo=\n"},
	{"v2", "POST", "/repo/main/a%40b%3Dc%26d%3Be%3Af%2Cg%21h%24i%27%28j%29%2Ak~l?acl",
	 "host:127.0.0.1:8000\n"
	 "x-amz-meta-caps:Value\n"
	 "content-md5:4gJE4saaMU4BqNR0kLY+lw==\n"
	 "x-amz-security-token:tok/en+with=signs\n"
	 "date:Sat, 21 Nov 2026 04:49:37 GMT\n"
	 "authorization:AWS AKIAIOSFODNN7EXAMPLE:rclFfRnGEbowl6visaQIkn9x+kc=\n"},
	{"v2", "PUT", "/repo/main/a%40b%3Dc%26d%3Be%3Af%2Cg%21h%24i%27%28j%29%2Ak~l?prefix=a%20b%2Bc&delimiter=%2F&list-type=2",
	 "host:127.0.0.1:8000\n"
	 "date:Sat, 21 Nov 2026 04:49:37 GMT\n"
	 "authorization:AWS AKIAIOSFODNN7EXAMPLE:SyLc7OvkDvP5UixS0t8G89aeMnM=\n"},
	{"v2", "DELETE", "/repo/main/a%40b%3Dc%26d%3Be%3Af%2Cg%21h%24i%27%28j%29%2Ak~l?b=2&b=1&a=&B=x&a-b=y&a=0",
	 "host:127.0.0.1:8000\n"
	 "x-amz-meta-spaces:a   b    c\n"
	 "content-type:text/plain; charset=utf-8\n"
	 "date:Sat, 21 Nov 2026 04:49:37 GMT\n"
	 "authorization:AWS AKIAIOSFODNN7EXAMPLE:N+Saj0CdnKkTArHiyFsrar24jXA=\n"},
	{"v2", "GET", "/repo/main/a%40b%3Dc%26d%3Be%3Af%2Cg%21h%24i%27%28j%29%2Ak~l?prefix=fran%C3%A7ais%40%26%3D%25&marker=%2F%2F&uploads=",
	 "host:127.0.0.1:8000\n"
	 "x-amz-meta-empty:\n"
	 "x-amz-copy-source:/repo/main/a%20b\n"
	 "range:bytes=0-9\n"
	 "x-amz-security-token:tok/en+with=signs\n"
	 "date:Sat, 21 Nov 2026 04:49:37 GMT\n"
	 "authorization:AWS AKIAIOSFODNN7EXAMPLE:zvRa8gX6IrnFKYLTisKSaFCGxdY=\n"},
	{"v2", "HEAD", "/repo/main/a%40b%3Dc%26d%3Be%3Af%2Cg%21h%24i%27%28j%29%2Ak~l?partNumber=7&uploadId=a%2Bb%2Fc%3D%3D&x-id=UploadPart",
	 "host:127.0.0.1:8000\n"
	 "x-amz-meta-caps:Value\n"
	 "content-md5:4gJE4saaMU4BqNR0kLY+lw==\n"
	 "date:Sat, 21 Nov 2026 04:49:37 GMT\n"
	 "authorization:AWS AKIAIOSFODNN7EXAMPLE:uzheW+V7UnZsLoeE7/0Pru5b16s=\n"},
	{"v2", "DELETE", "/repo/main/percent%2541literal%252Fand%2525",
	 "host:127.0.0.1:8000\n"
	 "x-amz-meta-caps:Value\n"
	 "content-md5:4gJE4saaMU4BqNR0kLY+lw==\n"
	 "x-amz-security-token:tok/en+with=signs\n"
	 "date:Sat, 21 Nov 2026 04:49:37 GMT\n"
	 "authorization:AWS AKIAIOSFODNN7EXAMPLE:Cqg46OcVhrhMJ82oEt8NYrhxokw=\n"},
	{"v2", "GET", "/repo/main/percent%2541literal%252Fand%2525?acl",
	 "host:127.0.0.1:8000\n"
	 "date:Sat, 21 Nov 2026 04:49:37 GMT\n"
	 "authorization:AWS AKIAIOSFODNN7EXAMPLE:U3m4+Zq1Y86oagWOjPX6I4vOXnE=\n"},
	{"v2", "HEAD", "/repo/main/percent%2541literal%252Fand%2525?prefix=a%20b%2Bc&delimiter=%2F&list-type=2",
	 "host:127.0.0.1:8000\n"
	 "x-amz-meta-spaces:a   b    c\n"
	 "content-type:text/plain; charset=utf-8\n"
	 "date:Sat, 21 Nov 2026 04:49:37 GMT\n"
	 "authorization:AWS AKIAIOSFODNN7EXAMPLE:vI+joJ2+cPwpmsAUn8KLJoJinGA=\n"},
	{"v2", "POST", "/repo/main/percent%2541literal%252Fand%2525?b=2&b=1&a=&B=x&a-b=y&a=0",
	 "host:127.0.0.1:8000\n"
	 "x-amz-meta-empty:\n"
	 "x-amz-copy-source:/repo/main/a%20b\n"
	 "range:bytes=0-9\n"
	 "x-amz-security-token:tok/en+with=signs\n"
	 "date:Sat, 21 Nov 2026 04:49:37 GMT\n"
	 "authorization:AWS AKIAIOSFODNN7EXAMPLE:ttyhPcjSS9smavmo6hZ4mrzmmco=\n"},
	{"v2", "PUT", "/repo/main/percent%2541literal%252Fand%2525?prefix=fran%C3%A7ais%40%26%3D%25&marker=%2F%2F&uploads=",
	 "host:127.0.0.1:8000\n"
	 "x-amz-meta-caps:Value\n"
	 "content-md5:4gJE4saaMU4BqNR0kLY+lw==\n"
	 "date:Sat, 21 Nov 2026 04:49:37 GMT\n"
	 "authorization:AWS AKIAIOSFODNN7EXAMPLE:DPJtBYIHLqa5KeONLmCh/qtnFJE=\n"},
	{"v2", "DELETE", "/repo/main/percent%2541literal%252Fand%2525?partNumber=7&uploadId=a%2Bb%2Fc%3D%3D&x-id=UploadPart",
	 "host:127.0.0.1:8000\n"
	 "date:Sat, 21 Nov 2026 04:49:37 GMT\n"
	 "authorization:AWS AKIAIOSFODNN7EXAMPLE:h9V9bg55sc2c/s2jqQbPIoo5TOc=\n"},
	{"v2", "POST", "/repo/main///double//slash///",
	 "host:127.0.0.1:8000\n"
	 "date:Sat, 21 Nov 2026 04:49:37 GMT\n"
	 "authorization:AWS AKIAIOSFODNN7EXAMPLE:56mFS8uPaiPJIedBdoL5A0Cvxa0=\n"},
	{"v2", "PUT", "/repo/main///double//slash///?acl",
	 "host:127.0.0.1:8000\n"
	 "x-amz-meta-spaces:a   b    c\n"
	 "content-type:text/plain; charset=utf-8\n"
	 "date:Sat, 21 Nov 2026 04:49:37 GMT\n"
	 "authorization:AWS AKIAIOSFODNN7EXAMPLE:alV7ud5GI7Y6OHBhxBf2uxLc7J4=\n"},
	{"v2", "DELETE", "/repo/main///double//slash///?prefix=a%20b%2Bc&delimiter=%2F&list-type=2",
	 "host:127.0.0.1:8000\n"
	 "x-amz-meta-empty:\n"
	 "x-amz-copy-source:/repo/main/a%20b\n"
	 "range:bytes=0-9\n"
	 "x-amz-security-token:tok/en+with=signs\n"
	 "date:Sat, 21 Nov 2026 04:49:37 GMT\n"
	 "authorization:AWS AKIAIOSFODNN7EXAMPLE:SoPj7e5w8piA9IHOeo2RNedmZo0=\n"},
	{"v2", "GET", "/repo/main///double//slash///?b=2&b=1&a=&B=x&a-b=y&a=0",
	 "host:127.0.0.1:8000\n"
	 "x-amz-meta-caps:Value\n"
	 "content-md5:4gJE4saaMU4BqNR0kLY+lw==\n"
	 "date:Sat, 21 Nov 2026 04:49:37 GMT\n"
	 "authorization:AWS AKIAIOSFODNN7EXAMPLE:llm/wiXjWlYSZUxC5AdrZ34HpZ0=\n"},
	{"v2", "HEAD", "/repo/main///double//slash///?prefix=fran%C3%A7ais%40%26%3D%25&marker=%2F%2F&uploads=",
	 "host:127.0.0.1:8000\n"
	 "date:Sat, 21 Nov 2026 04:49:37 GMT\n"
	 "authorization:AWS AKIAIOSFODNN7EXAMPLE:UCpqWE8+jBNkWRDsYePgzmIvEoA=\n"},
	{"v2", "POST", "/repo/main///double//slash///?partNumber=7&uploadId=a%2Bb%2Fc%3D%3D&x-id=UploadPart",
	 "host:127.0.0.1:8000\n"
	 "x-amz-meta-spaces:a   b    c\n"
	 "content-type:text/plain; charset=utf-8\n"
	 "x-amz-security-token:tok/en+with=signs\n"
	 "date:Sat, 21 Nov 2026 04:49:37 GMT\n"
	 "authorization:AWS AKIAIOSFODNN7EXAMPLE:9ZcTbl8QYfqF12CVyQMYopbdWd8=\n"},
	{"v2", "GET", "/repo/main/./dot/../dots/./.",
	 "host:127.0.0.1:8000\n"
	 "x-amz-meta-spaces:a   b    c\n"
	 "content-type:text/plain; charset=utf-8\n"
	 "date:Sat, 21 Nov 2026 04:49:37 GMT\n"
	 "authorization:AWS AKIAIOSFODNN7EXAMPLE:DI2H1z0nwDF1ot7zjw8EWZhH1NQ=\n"},
	{"v2", "HEAD", "/repo/main/./dot/../dots/./.?acl",
	 "host:127.0.0.1:8000\n"
	 "x-amz-meta-empty:\n"
	 "x-amz-copy-source:/repo/main/a%20b\n"
	 "range:bytes=0-9\n"
	 "x-amz-security-token:tok/en+with=signs\n"
	 "date:Sat, 21 Nov 2026 04:49:37 GMT\n"
	 "authorization:AWS AKIAIOSFODNN7EXAMPLE:oBjNFjHqrEhTGnsz4AArK9XewjA=\n"},
	{"v2", "POST", "/repo/main/./dot/../dots/./.?prefix=a%20b%2Bc&delimiter=%2F&list-type=2",
	 "host:127.0.0.1:8000\n"
	 "x-amz-meta-caps:Value\n"
	 "content-md5:4gJE4saaMU4BqNR0kLY+lw==\n"
	 "date:Sat, 21 Nov 2026 04:49:37 GMT\n"
	 "authorization:AWS AKIAIOSFODNN7EXAMPLE:FfMbNoRMD62oo6EoRi9LQU3sNE8=\n"},
	{"v2", "PUT", "/repo/main/./dot/../dots/./.?b=2&b=1&a=&B=x&a-b=y&a=0",
	 "host:127.0.0.1:8000\n"
	 "date:Sat, 21 Nov 2026 04:49:37 GMT\n"
	 "authorization:AWS AKIAIOSFODNN7EXAMPLE:ZtaOXKFmAx3M39PfZLTigNiJ70o=\n"},
	{"v2", "DELETE", "/repo/main/./dot/../dots/./.?prefix=fran%C3%A7ais%40%26%3D%25&marker=%2F%2F&uploads=",
	 "host:127.0.0.1:8000\n"
	 "x-amz-meta-spaces:a   b    c\n"
	 "content-type:text/plain; charset=utf-8\n"
	 "x-amz-security-token:tok/en+with=signs\n"
	 "date:Sat, 21 Nov 2026 04:49:37 GMT\n"
	 "authorization:AWS AKIAIOSFODNN7EXAMPLE:Y9MX1zrAFk+AXr34jVgcSoFTABM=\n"},
	{"v2", "GET", "/repo/main/./dot/../dots/./.?partNumber=7&uploadId=a%2Bb%2Fc%3D%3D&x-id=UploadPart",
	 "host:127.0.0.1:8000\n"
	 "x-amz-meta-empty:\n"
	 "x-amz-copy-source:/repo/main/a%20b\n"
	 "range:bytes=0-9\n"
	 "date:Sat, 21 Nov 2026 04:49:37 GMT\n"
	 "authorization:AWS AKIAIOSFODNN7EXAMPLE:b9VH+nRibb+3XU3PEVjJf5UZP+4=\n"},
	{"v2", "PUT", "/repo/main/fran%C3%A7ais/%E6%97%A5%E6%9C%AC%E8%AA%9E/%F0%9F%98%80",
	 "host:127.0.0.1:8000\n"
	 "x-amz-meta-empty:\n"
	 "x-amz-copy-source:/repo/main/a%20b\n"
	 "range:bytes=0-9\n"
	 "x-amz-security-token:tok/en+with=signs\n"
	 "date:Sat, 21 Nov 2026 04:49:37 GMT\n"
	 "authorization:AWS AKIAIOSFODNN7EXAMPLE:6OwO7KmxBM/XfCO41p1Kh2o16ks=\n"},
	{"v2", "DELETE", "/repo/main/fran%C3%A7ais/%E6%97%A5%E6%9C%AC%E8%AA%9E/%F0%9F%98%80?acl",
	 "host:127.0.0.1:8000\n"
	 "x-amz-meta-caps:Value\n"
	 "content-md5:4gJE4saaMU4BqNR0kLY+lw==\n"
	 "date:Sat, 21 Nov 2026 04:49:37 GMT\n"
	 "authorization:AWS AKIAIOSFODNN7EXAMPLE:xdDBzr841+wvEDpCBryXmpznJog=\n"},
	{"v2", "GET", "/repo/main/fran%C3%A7ais/%E6%97%A5%E6%9C%AC%E8%AA%9E/%F0%9F%98%80?prefix=a%20b%2Bc&delimiter=%2F&list-type=2",
	 "host:127.0.0.1:8000\n"
	 "date:Sat, 21 Nov 2026 04:49:37 GMT\n"
	 "authorization:AWS AKIAIOSFODNN7EXAMPLE:qs1n0x3WbeFIf2UWZ2KZMsYB5Js=\n"},
	{"v2", "HEAD", "/repo/main/fran%C3%A7ais/%E6%97%A5%E6%9C%AC%E8%AA%9E/%F0%9F%98%80?b=2&b=1&a=&B=x&a-b=y&a=0",
	 "host:127.0.0.1:8000\n"
	 "x-amz-meta-spaces:a   b    c\n"
	 "content-type:text/plain; charset=utf-8\n"
	 "x-amz-security-token:tok/en+with=signs\n"
	 "date:Sat, 21 Nov 2026 04:49:37 GMT\n"
	 "authorization:AWS AKIAIOSFODNN7EXAMPLE:hPFhPtgz8unn8NUZFTjzB1fqH/E=\n"},
	{"v2", "POST", "/repo/main/fran%C3%A7ais/%E6%97%A5%E6%9C%AC%E8%AA%9E/%F0%9F%98%80?prefix=fran%C3%A7ais%40%26%3D%25&marker=%2F%2F&uploads=",
	 "host:127.0.0.1:8000\n"
	 "x-amz-meta-empty:\n"
	 "x-amz-copy-source:/repo/main/a%20b\n"
	 "range:bytes=0-9\n"
	 "date:Sat, 21 Nov 2026 04:49:37 GMT\n"
	 "authorization:AWS AKIAIOSFODNN7EXAMPLE:s26kuH4/l5jihiW3mp2Ql5S9jXQ=\n"},
	{"v2", "PUT", "/repo/main/fran%C3%A7ais/%E6%97%A5%E6%9C%AC%E8%AA%9E/%F0%9F%98%80?partNumber=7&uploadId=a%2Bb%2Fc%3D%3D&x-id=UploadPart",
	 "host:127.0.0.1:8000\n"
	 "x-amz-meta-caps:Value\n"
	 "content-md5:4gJE4saaMU4BqNR0kLY+lw==\n"
	 "date:Sat, 21 Nov 2026 04:49:37 GMT\n"
	 "authorization:AWS AKIAIOSFODNN7EXAMPLE:kKzG3Ex9JCpt2LuV+yZ6zD1s/1k=\n"},
	{"v2", "HEAD", "/repo/main/quote%22%3C%3E%5C%5E%60%7B%7C%7D%23%3F%5B%5D",
	 "host:127.0.0.1:8000\n"
	 "x-amz-meta-caps:Value\n"
	 "content-md5:4gJE4saaMU4BqNR0kLY+lw==\n"
	 "date:Sat, 21 Nov 2026 04:49:37 GMT\n"
	 "authorization:AWS AKIAIOSFODNN7EXAMPLE:mP1S+c2PGETquSjtaU0OnnQqIck=\n"},
	{"v2", "POST", "/repo/main/quote%22%3C%3E%5C%5E%60%7B%7C%7D%23%3F%5B%5D?acl",
	 "host:127.0.0.1:8000\n"
	 "date:Sat, 21 Nov 2026 04:49:37 GMT\n"
	 "authorization:AWS AKIAIOSFODNN7EXAMPLE:5cHcSl9kSxMeoxaJwYJewtI0hvE=\n"},
	{"v2", "PUT", "/repo/main/quote%22%3C%3E%5C%5E%60%7B%7C%7D%23%3F%5B%5D?prefix=a%20b%2Bc&delimiter=%2F&list-type=2",
	 "host:127.0.0.1:8000\n"
	 "x-amz-meta-spaces:a   b    c\n"
	 "content-type:text/plain; charset=utf-8\n"
	 "x-amz-security-token:tok/en+with=signs\n"
	 "date:Sat, 21 Nov 2026 04:49:37 GMT\n"
	 "authorization:AWS AKIAIOSFODNN7EXAMPLE:CplNoj88wlLv0XDYFf0StnQHM94=\n"},
	{"v2", "DELETE", "/repo/main/quote%22%3C%3E%5C%5E%60%7B%7C%7D%23%3F%5B%5D?b=2&b=1&a=&B=x&a-b=y&a=0",
	 "host:127.0.0.1:8000\n"
	 "x-amz-meta-empty:\n"
	 "x-amz-copy-source:/repo/main/a%20b\n"
	 "range:bytes=0-9\n"
	 "date:Sat, 21 Nov 2026 04:49:37 GMT\n"
	 "authorization:AWS AKIAIOSFODNN7EXAMPLE:vq1OZie18P1B21NrLD5pRPfRu60=\n"},
	{"v2", "GET", "/repo/main/quote%22%3C%3E%5C%5E%60%7B%7C%7D%23%3F%5B%5D?prefix=fran%C3%A7ais%40%26%3D%25&marker=%2F%2F&uploads=",
	 "host:127.0.0.1:8000\n"
	 "x-amz-meta-caps:Value\n"
	 "content-md5:4gJE4saaMU4BqNR0kLY+lw==\n"
	 "date:Sat, 21 Nov 2026 04:49:37 GMT\n"
	 "authorization:AWS AKIAIOSFODNN7EXAMPLE:NxZHID+udBQVjgQQkgQOwMHS1V0=\n"},
	{"v2", "HEAD", "/repo/main/quote%22%3C%3E%5C%5E%60%7B%7C%7D%23%3F%5B%5D?partNumber=7&uploadId=a%2Bb%2Fc%3D%3D&x-id=UploadPart",
	 "host:127.0.0.1:8000\n"
	 "x-amz-security-token:tok/en+with=signs\n"
	 "date:Sat, 21 Nov 2026 04:49:37 GMT\n"
	 "authorization:AWS AKIAIOSFODNN7EXAMPLE:HPE+CwhdH4xEl/T6l0zsTBHhPUo=\n"},
	{"v2", "DELETE", "/repo/main/tab%09and%7Fcontrol%01",
	 "host:127.0.0.1:8000\n"
	 "date:Sat, 21 Nov 2026 04:49:37 GMT\n"
	 "authorization:AWS AKIAIOSFODNN7EXAMPLE:pb4+EDlroH+mLDFLCTN+LqGbL54=\n"},
	{"v2", "GET", "/repo/main/tab%09and%7Fcontrol%01?acl",
	 "host:127.0.0.1:8000\n"
	 "x-amz-meta-spaces:a   b    c\n"
	 "content-type:text/plain; charset=utf-8\n"
	 "x-amz-security-token:tok/en+with=signs\n"
	 "date:Sat, 21 Nov 2026 04:49:37 GMT\n"
	 "authorization:AWS AKIAIOSFODNN7EXAMPLE:N6kh/a54N00VM3kXURr/Qc5eZP8=\n"},
	{"v2", "HEAD", "/repo/main/tab%09and%7Fcontrol%01?prefix=a%20b%2Bc&delimiter=%2F&list-type=2",
	 "host:127.0.0.1:8000\n"
	 "x-amz-meta-empty:\n"
	 "x-amz-copy-source:/repo/main/a%20b\n"
	 "range:bytes=0-9\n"
	 "date:Sat, 21 Nov 2026 04:49:37 GMT\n"
	 "authorization:AWS AKIAIOSFODNN7EXAMPLE:+PXzH6LhiynGQtdRiCTOaCs4DLw=\n"},
	{"v2", "POST", "/repo/main/tab%09and%7Fcontrol%01?b=2&b=1&a=&B=x&a-b=y&a=0",
	 "host:127.0.0.1:8000\n"
	 "x-amz-meta-caps:Value\n"
	 "content-md5:4gJE4saaMU4BqNR0kLY+lw==\n"
	 "date:Sat, 21 Nov 2026 04:49:37 GMT\n"
	 "authorization:AWS AKIAIOSFODNN7EXAMPLE:vnM2cib81QixyGYrruEdvVD8qqQ=\n"},
	{"v2", "PUT", "/repo/main/tab%09and%7Fcontrol%01?prefix=fran%C3%A7ais%40%26%3D%25&marker=%2F%2F&uploads=",
	 "host:127.0.0.1:8000\n"
	 "x-amz-security-token:tok/en+with=signs\n"
	 "date:Sat, 21 Nov 2026 04:49:37 GMT\n"
	 "authorization:AWS AKIAIOSFODNN7EXAMPLE:QLevrbVitpSO1hm8yaYRHOxv9XY=\n"},
	{"v2", "DELETE", "/repo/main/tab%09and%7Fcontrol%01?partNumber=7&uploadId=a%2Bb%2Fc%3D%3D&x-id=UploadPart",
	 "host:127.0.0.1:8000\n"
	 "x-amz-meta-spaces:a   b    c\n"
	 "content-type:text/plain; charset=utf-8\n"
	 "date:Sat, 21 Nov 2026 04:49:37 GMT\n"
	 "authorization:AWS AKIAIOSFODNN7EXAMPLE:2Ut4oq4kmyrEVwbNwape6SQWAgA=\n"},
	{"v2", "POST", "/repo/main/%25",
	 "host:127.0.0.1:8000\n"
	 "x-amz-meta-spaces:a   b    c\n"
	 "content-type:text/plain; charset=utf-8\n"
	 "x-amz-security-token:tok/en+with=signs\n"
	 "date:Sat, 21 Nov 2026 04:49:37 GMT\n"
	 "authorization:AWS AKIAIOSFODNN7EXAMPLE:c4aGH3kOv2vH47Wtxh2n5l8Gbkw=\n"},
	{"v2", "PUT", "/repo/main/%25?acl",
	 "host:127.0.0.1:8000\n"
	 "x-amz-meta-empty:\n"
	 "x-amz-copy-source:/repo/main/a%20b\n"
	 "range:bytes=0-9\n"
	 "date:Sat, 21 Nov 2026 04:49:37 GMT\n"
	 "authorization:AWS AKIAIOSFODNN7EXAMPLE:D/f9MrpQQ/uLp/r380FpxK9Z5rs=\n"},
	{"v2", "DELETE", "/repo/main/%25?prefix=a%20b%2Bc&delimiter=%2F&list-type=2",
	 "host:127.0.0.1:8000\n"
	 "x-amz-meta-caps:Value\n"
	 "content-md5:4gJE4saaMU4BqNR0kLY+lw==\n"
	 "date:Sat, 21 Nov 2026 04:49:37 GMT\n"
	 "authorization:AWS AKIAIOSFODNN7EXAMPLE:+vezkjbC7NvAJPz4PAJ+6IhVlE8=\n"},
	{"v2", "GET", "/repo/main/%25?b=2&b=1&a=&B=x&a-b=y&a=0",
	 "host:127.0.0.1:8000\n"
	 "x-amz-security-token:tok/en+with=signs\n"
	 "date:Sat, 21 Nov 2026 04:49:37 GMT\n"
	 "authorization:AWS AKIAIOSFODNN7EXAMPLE:AdOHLqjQZ0FMPAfTujNk+H2zDo0=\n"},
	{"v2", "HEAD", "/repo/main/%25?prefix=fran%C3%A7ais%40%26%3D%25&marker=%2F%2F&uploads=",
	 "host:127.0.0.1:8000\n"
	 "x-amz-meta-spaces:a   b    c\n"
	 "content-type:text/plain; charset=utf-8\n"
	 "date:Sat, 21 Nov 2026 04:49:37 GMT\n"
	 "authorization:AWS AKIAIOSFODNN7EXAMPLE:a2nvpXbOTWjUIT6ua//bP8en5n4=\n"},
	{"v2", "POST", "/repo/main/%25?partNumber=7&uploadId=a%2Bb%2Fc%3D%3D&x-id=UploadPart",
	 "host:127.0.0.1:8000\n"
	 "x-amz-meta-empty:\n"
	 "x-amz-copy-source:/repo/main/a%20b\n"
	 "range:bytes=0-9\n"
	 "date:Sat, 21 Nov 2026 04:49:37 GMT\n"
	 "authorization:AWS AKIAIOSFODNN7EXAMPLE:6YBEyoaAoO7w7AeYe29GPYXhLjA=\n"},
};
