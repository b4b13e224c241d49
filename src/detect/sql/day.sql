-- A day's events, read once (`day`): the columns that cells, traffic, sign-ins, instances and the rules' conditions look at.
SELECT
  actor,
  eventtime,
  eventsource,
  eventname,
  eventcategory,
  eventtype,
  awsregion,
  recipientaccountid,
  sourceipaddress,
  useragent,
  outcome,
  readonly,
  requestparameters,
  CASE WHEN eventname = 'ConsoleLogin' THEN additionaleventdata END AS additional,
  -- of S3's calls only it is asked; to compare the source here, joined by AND, would copy every column of the batch
  CASE WHEN eventname IN ('GetObject', 'SelectObjectContent') THEN additionaleventdata END AS transferred,
  source_object,
  vpcendpointid,
  vpcendpointaccountid,
  get_field(useridentity, 'type') AS identity_type,
  get_field(useridentity, 'principalid') AS principal_id,
  get_field(useridentity, 'accountid') AS identity_account,
  get_field(useridentity, 'accesskeyid') AS access_key,
  get_field(useridentity, 'invokedby') AS invoked_by,
  get_field(get_field(useridentity, 'sessioncontext'), 'assumedroot') AS assumed_root,
  get_field(get_field(useridentity, 'sessioncontext'), 'ec2roledelivery') AS role_delivery,
  coalesce(eventsource = 's3.amazonaws.com' AND eventcategory = 'Data', false) AS s3_data,
  coalesce(source_list(sourceipaddress), '') AS listed,
  distribution_of(useragent) AS distribution
FROM events
WHERE event_date = DATE '{date}' AND {in_time} AND {delivered}
